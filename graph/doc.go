// Package graph is GraphQL and nothing else: it takes requests apart, hands
// them to the store, and puts answers and errors into the client's words.
//
// Resolvers are thin and lie by noun beside the schema they answer
// (schema/stock.graphqls, stock.resolvers.go): stock and its writes, the ledger
// (movement), reservations, products, locations with their channels. What they
// need of the store is the Store interface here; the store knows nothing of
// GraphQL.
//
// Invariants: an error that reaches a client has a code and says nothing of
// SQL, keys or stacks (errors.go); everything of one response that reads stock
// or reservations reads them in one batch (loaders); what a document costs is
// bounded before it is validated (guard) and before it runs (complexity.go);
// writes are one call each; what asks for a scope asks guard first; moments are
// milliseconds, here and in filters (endOf).
//
// May import: models, loaders, guard, transport, generated, scalar, gqlgen and
// gqlparser. Never the store.
//
// When the store is gone, its faults come through as UNAVAILABLE.
package graph
