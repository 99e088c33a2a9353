// Package holdersql has the statements over holdings and purchases on Postgres.
//
// Holders are locked before any other row, each by its row with an empty product, in the
// order of their names. The other holdings of a holder are read and written under that
// lock alone.
//
// Purchases have no rows: a statement adds up reservations, with the products locked.
//
// May import: pgx, dialect, holderusage. When the database is gone, the caller's pipeline
// returns the error.
package holdersql
