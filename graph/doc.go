// Package graph is the GraphQL API: it checks requests, passes them to the store,
// and returns answers and errors in the client's words.
//
// A noun has one file name everywhere: schema/stock.graphqls, stock.resolvers.go (the resolvers: parse, delegate) and
// stock.go (their helpers). The nouns are stock, product, location (with channels), movement (the ledger) and
// reservation. The interface Store is what the API needs from the store. The store does not know GraphQL.
//
//	schema/      the schema
//	generated/   gqlgen's executor; never edited
//	transport/   HTTP, WebSocket, server-sent events
//	guard/       callers, limits of requests, hosts and origins
//	tokens/      bearer tokens; instrumentation/, rawparams/, coding/: measurements, JSON, compression
//	access/      which scope a field needs, as the schema says
//	viewer/      which reservations and quantities a caller sees
//	ratelimit/   quotas of callers
//	execution/   preparation of operations
//	validation/  the size and validation of documents
//	coercion/    variables and literals, checked against their types
//	persisted/   documents by their hash; trusted/ those of a manifest
//	federation/  the subgraph of a gateway
//	compiled/    queries that only read stock, without the executor
//	live/        subscriptions to stock, rendered once
//	loaders/     one response's reads in one batch
//	apierror/    errors as a client may see them
//	securitylog/ refusals and privileged operations
//	scalar/      BigInt, Time, Int
//
// Invariants:
//   - Every error has a code, and shows no SQL, keys or stacks (apierror).
//   - Fields of one response that ask for stock or reservations at the same moment share
//     one batch (loaders). Each id is read once.
//   - The size of a document is bounded before its validation (validation), and its cost before its execution (guard).
//   - Equal ids mean equal type and, at equal version, equal content.
//   - A mutation is one call of the store.
//   - The directives of the schema say who may use which field (access). A resolver checks no scope of its own.
//
// May import: models, the packages above, gqlgen, gqlparser. Never the store.
//
// When the store is gone, its faults are presented as UNAVAILABLE.
package graph
