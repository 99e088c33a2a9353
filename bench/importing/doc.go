// Package importing times an import of 50,000 rows beside COPY of the same rows, on Postgres.
//
// The file is a CSV of 10,000 products at five locations. The ways that are timed:
//   - COPY into a table with the columns and key of stock_levels and no triggers: the most that Postgres can do;
//   - COPY into stock_levels, whose triggers write version, outbox and ledger: what a DBA with psql does;
//   - an import into new levels, which also reads the CSV, compares every row with the level and refuses invalid ones;
//   - an import in which all levels change.
//
// Commands:
//
//	go test ./bench/importing -run TestRatio -v
//	go test ./bench/importing -bench .
//
// Invariants: all ways begin with the same products and locations and end with the same levels. Each is timed as the
// best of several, in databases of its own.
//
// It may import anything; nothing imports it. When Postgres is gone, the tests fail.
package importing
