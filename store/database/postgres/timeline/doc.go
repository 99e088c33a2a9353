// Package timeline keeps connections away from a primary that was replaced.
//
// A URL names several servers, of which one accepts writes. After a failover the old
// primary may come back and accept writes too. pgx takes the first server of the URL that
// does, so some connections would decide on one server and some on the other.
//
// Terms: a timeline is a number of Postgres that grows with each promotion of a standby.
//
// Invariants:
//
//   - A new connection to a server on an older timeline than the latest one seen of the
//     same cluster is refused, and the next server of the URL is tried.
//   - A connection of the pool to such a server is closed before its next use.
//   - After [Patience] without a server of the latest timeline, an older one is accepted:
//     it was restored, and the epoch check believes it.
//   - A server that does not tell its timeline is accepted.
//
// It cannot help a process that has seen the old primary only: one that starts takes the
// first server that accepts writes. Fencing the old primary stays the operator's task.
//
// May import: pgx.
package timeline
