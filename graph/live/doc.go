// Package live answers subscriptions to stock without a goroutine: it renders each
// change once for all subscribers that select the same fields.
//
// [PushSchema] is an executable schema over another one. Where the transport offers to take
// pushed results (package push) and package compiled can render the selection, it opens
// a watch that notifies, and accepts. It leaves every other operation, and every error,
// to the schema below.
//
// Terms: a selection is the compiled fields of a subscription; subscribers whose
// documents select the same share one. A rendering is a stock in one selection, as bytes.
//
// Invariants:
//   - A subscriber gets the same bytes as from the schema below.
//   - Renderings are kept within a bound. One that is not found is made again.
//   - Callers with and without a cap of quantities share no rendering.
//   - A selection is kept while it has a subscriber.
//
// May import: compiled, push, viewer, models, gqlgen.
//
// The package uses no server.
package live
