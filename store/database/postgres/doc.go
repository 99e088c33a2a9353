// Package postgres is the engine for Postgres: transactions, statements, locks, claims,
// notifications and migrations.
//
// # Terms
//
//	pipeline     several statements in one round trip (pgx.Batch)
//	column       a parameter of many values, encoded as a binary array
//	row form     a bulk statement for one value of each column, without unnest
//	compare-and-set, conditional decrement   the two checks of an optimistic batch
//
// A batch under lock takes two pipelines: lock and load, then save and commit. An
// optimistic batch takes one.
//
// # Optimisations
//
// Each has a file of its own that says what it gains, and a switch in
// [dialect.Switches]: polling.go, recycle.go, bulk.go.
//
// # Invariants
//
//   - Locks are taken in one order: reservations, levels, products, each by id. New
//     reservations are inserted first (conditional decrement) or last. A sweep skips
//     locked reservations.
//   - Every statement is written for READ COMMITTED. A stricter default isolation makes
//     optimistic batches fail as refused, never wrong.
//   - A connection goes back to the pool without an open transaction, or is closed.
//
// May import: models, decide, dialect, optimistic, ledger, importer, pgx, gorm's driver.
// When the server is gone, every call ends within its deadline with a survivable error.
package postgres
