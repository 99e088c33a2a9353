// Package rediscache caches the stock of products in Redis. The database
// decides; Redis answers reads fast.
//
// Terms:
//   - Hash: the Redis hash inventory:<product_id>. Any service may read it with
//     a plain HGETALL.
//   - Negative entry: a short-lived hash that says that there is no such product.
//   - Apply: a script writes a committed version to the hash and publishes it on
//     the channel inventory_change:<product_id>, in one step.
//   - Fill: the same script caches what a read of the database found after a
//     miss. A fill publishes nothing.
//   - Lease: the permission to fill. The reader stores it in the hash before it
//     reads the database. A hash that contains only a lease is a miss.
//   - Watermark: the epoch and the largest outbox id that Redis is known to have
//     reached, with the run ids of its servers.
//
// May import: models, models/quota, models/stockbinary, outage, go-redis, gobreaker, the standard
// library.
//
// Invariants:
//   - Within an epoch the version of a hash never falls. A hash of another epoch
//     is a miss, and the next write replaces it.
//   - A fill never restores a value that a write has replaced, even if Redis has
//     lost that write: Redis then lost the lease too, and refuses the fill.
//   - A hash that is incomplete, of the wrong type or not decodable is a miss,
//     and the next fill replaces it.
//   - A write for which Redis has no memory removes the hash, so that readers do
//     not find an older value.
//   - A call takes one round trip for each PipelineMax commands or ScriptsMax
//     scripts, and one more after Redis has lost its scripts (NOSCRIPT). Each
//     round trip ends within CacheConfig.Timeout.
//   - A script touches one key, as Redis Cluster requires. To run it twice has
//     the effect of running it once.
//
// When Redis is gone: after three failures in a row a circuit breaker opens, and every call
// returns [ErrDown] at once. One call every half second tries Redis again. Callers read the
// database meanwhile. An empty Redis is filled by reads. A Redis with old data is recognised by
// its watermark ([Cache.Watermark]). Both clients close all connections to a master that Sentinels
// replaced, and to a node that does not reach most masters of its cluster, even if it answers.
package rediscache
