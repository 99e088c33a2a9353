// Package postgres is the engine for Postgres: transactions, statements, locks, claims,
// notifications and migrations.
//
// # Terms
//
//	pipeline     several statements in one round trip (pgx.Batch)
//	column       a parameter of many values, encoded as a binary array
//	compare-and-set, conditional decrement   the two checks of an optimistic batch
//
// A batch under lock takes two pipelines: lock and load, then save and commit. An
// optimistic batch takes one.
//
// # Optimisations
//
// polling.go says what polling gains. Its switch is in [dialect.Switches].
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
// May import: models and packages below it, decide and packages below it, dialect, optimistic, ledger, importer, holdersql, pgx, gorm's driver.
// When the server is gone, every call ends within its deadline with a survivable error.
package postgres
