//go:build race

package database_test

// race reports whether the race detector is on. It makes SQLite, which here is Go code,
// some twenty times slower.
const race = true
