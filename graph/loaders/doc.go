// Package loaders collapses the reads of one response into one batch: whatever
// lists and fields of a document ask for stock, the store is asked once.
//
// Loaders are made per response, not per request: a subscription's requests
// last for hours and must not see one stale value for ever.
//
// May import: models, dataloadgen and gqlgen's runtime.
package loaders
