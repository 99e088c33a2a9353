// Package loaders collapses the reads of one response into one batch: whatever
// lists and fields of a document ask for stock or reservations, the store is
// asked once for each kind.
//
// Invariants: an id is read once a response; what one field asks for is one
// batch (up to the store's bound of one), however busy the machine.
//
// Loaders are made per response, not per request: a subscription's requests
// last for hours and must not see one stale value for ever.
//
// May import: models and gqlgen's runtime.
package loaders
