// Package store is the stock that the API asks for. It wires packages with one
// concern each, and its methods only delegate to them.
//
//	read     readthrough: one pipeline to Redis for concurrent requests, then one
//	         SELECT for what Redis does not have
//	write    groupcommit decides concurrent writes in one transaction; then the
//	         publisher gives the outcome to Redis and to subscribers
//	watch    stockfeed: current stock, then every newer version
//	follow   ledgerfeed: movements and changes of status from a cursor
//	repair   stockfeed's relay publishes what the outbox still has
//	upkeep   epoch check, sweeper, database claim, key retention, preload
//	audit    ledger, levels, reservations and Redis compared
//	load     openingstock: counted stock of a new shop, and the demo shop
//
// Invariants:
//
//   - Redis never decides, and its absence is never an error of a request.
//   - An answer to a write leaves after the commit.
//   - Subscribers get a change after Redis has it, so that one that reads again
//     does not find an older value.
//   - An instance whose Redis is embedded has the database to itself.
//   - Every queue and every wait has a bound.
//
// May import: models, the packages below store, go-redis (to close its clients),
// prometheus (its metrics), miniredis (the Redis inside the process).
//
// When the database is gone, products that Redis has are answered, followers wait,
// and everything else is UNAVAILABLE within a deadline. When Redis is gone, reads
// go to the database, batched in the same way, and the outbox keeps what Redis
// misses.
package store
