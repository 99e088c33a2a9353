// Package dialect is the bottom of the database: the connection pool, transactions,
// the mapping of faults, the scanning of rows, and the SQL that differs between the
// engines, as data.
//
// # Terms
//
//	engine     Postgres or SQLite: an [Engine] with its [Fragments]
//	fragments  SQL text that differs between the engines, one value each
//	survivable an error after which the same request may succeed later
//	retry      an error after which the same transaction may succeed at once
//	watchdog   bounds the silence of the database during imports and exports
//
// # Invariants
//
//   - No error of a driver leaves the database unmapped: [DB.Fault] makes it UNAVAILABLE
//     or INTERNAL, and the cause stays in the chain.
//   - gorm and hand-written statements share one pool.
//
// Hand-written SQL stays where gorm cannot express it: pipelines in one round trip, lock
// clauses in one order, and statements whose plan matters.
//
// May import: models and packages below it, decide and packages below it, gorm, pgx, go-sqlite3 (error types). When the server is
// gone, every call returns a survivable error within its deadline.
package dialect
