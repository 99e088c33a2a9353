// Package live answers subscriptions to stock without a goroutine: it renders each
// change once for all subscribers who see the same.
//
// [PushSchema] is an executable schema over another one. Where the transport offers to take
// pushed results (package push) and package compiled can render the selection, it opens
// a watch that notifies, and accepts. It leaves every other operation, and every error,
// to the schema below.
//
// Terms: a shape is a compiled selection; subscribers whose documents select the same
// have the same one. A rendering is a stock in one shape, as bytes.
//
// Invariants:
//   - A subscriber gets the same bytes as from the schema below.
//   - Renderings are remembered within a bound. One that is not found is made again.
//   - A shape is remembered while it has a subscriber.
//
// May import: compiled, push, models, gqlgen.
//
// The package uses no server.
package live
