// Package readset names the rows that a batch of writes needs locked and loaded, before
// any is read: its read set.
//
// # Invariant
//
// A decision of package decide on the loaded rows needs no other row, except those that it
// notes as missing (UnitOfWork.Unplaced, ShortProducts).
//
// May import: models and packages below it, decide, counting, holderusage, keyhash. The
// package uses no server.
package readset
