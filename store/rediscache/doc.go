// Package rediscache keeps a copy of the stock in Redis: fast to read, never
// asked to decide anything.
//
// Each product has a hash, inventory:<product_id>, that any other service may
// read with a plain HGETALL, and a channel, inventory_change:<product_id>, on
// which every change is published. All writes go through one script that
// compares versions, so a late or repeated write changes nothing: a reader
// that fills the cache after a miss can never put back what a newer write
// replaced. The script sets the hash and publishes in one step, and notes in
// the field "published" that it did; a mere fill does not. So the feed can ask
// which changes nobody was told of yet ([Cache.Unpublished]).
//
// Whoever misses takes a lease before it reads the database, and fills under
// it ([Cache.Lease]). The lease lies in the hash: where Redis lost what was
// written since, it lost the lease too, and the late fill is refused. A hash
// with nothing but a lease in it is a product that is not cached.
//
// May import: models, go-redis, gobreaker, the standard library.
//
// What holds:
//   - Within an epoch the version of a hash never falls. A hash of another
//     epoch is another history: it counts as a miss and is overwritten.
//   - A hash that is broken, incomplete or of the wrong type is a miss, and the
//     next fill mends it.
//   - A fill never brings back what a write replaced, even if Redis has lost
//     that write meanwhile.
//   - A write that Redis has no memory for removes the hash, so that no older
//     value stays behind it.
//   - One call is one round trip for each [PipelineMax] reads or [ScriptsMax]
//     writes (NOSCRIPT, met once after a restart, costs another one), and every
//     round trip has a time limit.
//   - Every script touches one key, so that Redis Cluster can run it. Running
//     one twice has the effect of running it once.
//
// When Redis is gone: after three failures in a row a circuit breaker opens
// and every call answers [ErrDown] at once; one call every half second tries
// again. No round trip takes longer than Config.Timeout. Callers read the
// database meanwhile.
// A Redis that comes back empty is filled by the reads; one that comes back
// with old data is told by its run id and epoch ([Cache.Watermark]).
package rediscache
