// Package store puts the database, the cache and the feed together and gives
// them to the API as one thing.
//
//	read   request → batcher → Redis, one pipeline → misses: one SELECT → fill
//	write  request → line (combiner.go, seat.go) → database decides a batch and commits →
//	       Redis and local watchers are told → answer; holds are decided while
//	       they wait in line (ahead.go), and after a transaction of several
//	       the next waits a moment for company (gather.go)
//	watch  current stock, then every newer version, from Redis or from our own
//	       writes, whichever comes first
//	follow the ledger from a cursor on, every movement once (movement.go), and
//	       the changes of status that are computed from it (status.go)
//	repair outbox relay, sweeper of holds past their time, keeper of the epoch
//	audit  ledger, levels, reservations and Redis compared, product by product:
//	       all at once when asked, a small page a second beside the service
//
// Redis never decides and its absence is never an error: reads go to the
// database, batched just the same, and what Redis missed it gets from the
// outbox.
//
// Invariants: an answer leaves after the commit; what callers miss is read by
// one SELECT at a time, so that a burst of misses reads no product twice (halves
// follow it where a row is broken; the relay and an import read for themselves);
// only the keeper says which epoch is believed; a server whose Redis is its own
// has the database to itself; every queue and wait here has a bound.
//
// Opening stock leaves stock alone that is there (opening.go); a merchant's file
// sets what he counted, unless it has changed since he looked (import.go). And a
// start waits for a database that is not up yet and for nothing else
// (start.go).
//
// May import: models, database, pace, rediscache, stockfeed, go-redis (to close its
// clients), prometheus (its metrics), miniredis (the one inside the process).
//
// When the database is gone, reads that the cache can answer go on, followers
// wait, all else is UNAVAILABLE within a deadline. When Redis is gone, see above.
package store
