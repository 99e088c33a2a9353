// Package readreplica decides which server answers a read of a page: a read replica of
// the database, or the primary.
//
// Terms: a replica is a hot standby (package standby). There may be several, in an order of
// preference. Each has a circuit breaker. While it is open, no read goes to the replica. A
// probe, a read without statements of its own, closes it. Until a read has been answered
// then, it is half open, and one read at a time goes to the replica.
//
// Invariants:
//
//   - A read sees everything that had committed before it began, whichever server
//     answers: so a caller never reads older data than it has seen, at any instance.
//   - The first replica whose breaker is closed is asked, and no other: a read asks one
//     replica at most.
//   - Any error of the replica, also one that a caller could have caused, is no answer:
//     the primary is asked, and answers. Nothing fails because of a replica.
//   - A read waits for the replica for a bounded time. A failure, or several reads in a row
//     that found it behind or took too long at it, open the breaker for half a second at
//     least: the next replica is asked. Reads that fail together are one failure.
//   - Replicas are probed apart, whether they are asked or not: none waits for another one,
//     and the first is asked again after its probe.
//   - What is decided under a lock, what fills Redis, and reservations, which expire by
//     the clock of the database, are never read from a replica.
//
// May import: models and its packages, backoff, database, prometheus. When all replicas are
// gone, the primary answers all reads. When the primary is gone, its position is not known,
// and these reads are UNAVAILABLE, as without a replica.
package readreplica
