// Package store puts the database, the cache and the feed together and gives
// them to the API as one thing.
//
//	read   request → batcher → Redis, one pipeline → misses: one SELECT → fill
//	write  request → database decides and commits → Redis and local watchers
//	       are told → answer
//	watch  current stock, then every newer version, from Redis or from our own
//	       writes, whichever comes first
//	repair outbox relay, sweeper of holds past their time, keeper of the epoch
//
// Redis never decides and its absence is never an error: reads go to the
// database, batched just the same, and what Redis missed it gets from the
// outbox.
//
// Invariants: an answer leaves after the commit; at most one SELECT for a
// product is under way in one process; every queue and wait here has a bound.
//
// May import: models, database, rediscache, stockfeed, go-redis (to close its
// clients), miniredis (the one inside the process).
//
// When the database is gone, reads that the cache can answer go on, all else
// is UNAVAILABLE within a deadline. When Redis is gone, see above.
package store
