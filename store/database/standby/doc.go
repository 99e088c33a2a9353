// Package standby reads from a hot standby of the database: a Postgres server that
// replays the log of the primary.
//
// Terms: a position is how far the log of the primary had come at a moment. A standby is
// behind a position until it has replayed the log up to it.
//
// A read takes the position of the primary first. It then opens a transaction at the
// standby, and asks in the same round trip whether the standby has replayed that
// position. So the read sees every transaction that had committed before the read began,
// at any instance or by any other program: no caller reads older data than it has seen.
//
// Invariants:
//
//   - A position names the database cluster, its timeline and the epoch. A server of
//     another cluster, a standby that still follows the primary of before a failover, a
//     promoted standby and another database are refused, whatever their position.
//   - The clock of a read is the primary's, of the position. Pages of the ledger show what
//     had committed at the position, and no more: their cursors name that snapshot, because
//     a snapshot of a standby does not name what runs at the primary.
//   - The check and all statements of a read use one connection and one transaction, of
//     isolation READ COMMITTED: a pooler may not part them, and each statement has a
//     snapshot that is newer than the check.
//   - Nothing is written: the transaction is READ ONLY.
//
// A primary that was started from the files of another one has its identifiers: its standby
// passes every check. Such a primary needs a new epoch.
//
// May import: dialect, postgres, timeline, pgx, a semaphore. When the standby is gone, a read
// ends with an error within its deadline; the caller reads the primary then.
package standby
