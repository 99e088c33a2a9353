// Package ratelimit bounds what each caller may use of the server, by token buckets.
//
// Terms:
//   - Class: reads, writes, subscriptions and documents have buckets of their own. The cost of an operation is its complexity
//     and RequestCost; that of a document that is not in the cache, its bytes.
//   - Caller: the subject of a token; without one, the client's address (/64 for IPv6).
//   - Exempt: gateways and storefront servers, by scope or address. All shoppers come through them.
//   - Exchange: instances tell Redis what callers have used, and learn what is left over all of them.
//   - Share: the part of a caller's use that an instance saw lately.
//
// Invariants:
//   - No request waits for Redis, and nothing is refused because Redis is away. While it is, each instance goes on with its
//     buckets, which fill at its share of the quota.
//   - An operation dearer than a whole quota takes the whole bucket.
//   - There are at most BucketsMax buckets. The one that was used longest ago makes room, and begins full when it returns.
//   - An exchange has at most usesMax uses. Small ones wait until they count.
//
// It may import graph/guard, models, models/quota, x/time/rate, golang-lru and gqlgen's runtime. It uses no server: the
// exchange comes in as an interface.
package ratelimit
