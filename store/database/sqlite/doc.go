// Package sqlite is the engine for SQLite, in a file or in memory: transactions,
// statements, claims and migrations.
//
// It is for trying Onhand, for one instance, and for tests. What Postgres has more (row
// locks, notifications, optimistic batches) is not needed for correctness.
//
// # Invariants
//
//   - Transactions begin IMMEDIATE: SQLite ignores FOR UPDATE.
//   - One write transaction of this process runs at a time.
//   - Triggers count versions and write the outbox, for Onhand's writes too.
//
// May import: models and packages below it, decide and packages below it, dialect, importer, go-sqlite3, gormlite. When another
// program locks the file, a write waits for it and then is UNAVAILABLE.
package sqlite
