// Package floors has the floors of read benchmarks: small HTTP servers that answer the same requests as Onhand without
// its features.
//
//   - [JSON] is net/http and encoding/json without any store.
//   - [Redis] reads hashes with one pipeline of HGETALL, without GraphQL.
//   - [Select] reads Postgres with one SELECT, without GraphQL and without a cache.
//   - [Static] is gqlgen as its documentation sets it up, over Onhand's schema, with answers that are ready in memory.
//   - [Naive] is gqlgen with a loader of 1 ms for each request and HGETALL: the design of most tutorials.
//
// Invariants:
//   - The first three read the same request body, and answer with the same JSON, as a GraphQL server does for the
//     documents of the benchmark. They look at the variables only.
//   - They use well-known libraries with their defaults, pipelines, prepared statements and pools.
//   - A hash of a floor has the three fields that it answers with, and no more.
//
// It may import graph/generated, models and models/paging (the schema of the two gqlgen floors). When a server is gone,
// a request is answered with 502, which ends a benchmark.
package floors
