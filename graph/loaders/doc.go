// Package loaders joins the reads of one response into batches, as DataLoader does in
// JavaScript: fields that ask for stock or reservations at the same moment share one call
// of the store, of at most 1,000 ids. Fields of what was read ask later.
//
// Terms: a loader collects the ids that fields ask for. A fetch is one call of the
// store for the ids collected so far. The field that opens a fetch yields the processor
// until no other field has joined for 20 µs, and then makes the call itself. The only
// field of an operation's root makes it at once.
//
// Invariants:
//   - A response reads an id once.
//   - The ids that one field asks for are in one fetch (up to [fetchMax]), however
//     busy the machine is.
//
// Each response gets loaders of its own, not each request: a subscription's request
// lasts for hours, and loaders of the request would return its first value for ever.
//
// May import: models, models/poison and gqlgen's runtime.
//
// When the store is gone, all fields that wait for a fetch get its error. A fetch that could
// not read some products has an error for the fields that asked for these.
package loaders
