// Package importing times an import of 50,000 rows against COPY of the same rows, on Postgres.
//
// The file is a CSV of 10,000 products at five places. It is copied into a table of the same columns and key as
// stock_levels that nobody watches, which is the most that Postgres can do; into stock_levels itself, where triggers
// keep version, outbox and ledger, which is what somebody with psql would do; and imported, which also reads the CSV,
// compares every row with what is there, and refuses what must not be. The import is timed twice: into levels that are
// new, and into levels that all change.
//
//	go test ./bench/importing -run TestRatio -v
//	go test ./bench/importing -bench .
//
// May import: anything; nothing imports it.
//
// Invariants: all ways begin with the same products and places and end with the same levels; each is timed as the best
// of several, in databases of their own.
//
// When Postgres is gone, the tests fail.
package importing
