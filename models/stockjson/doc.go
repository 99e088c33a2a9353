// Package stockjson encodes a stock as JSON, and decodes it again.
//
// Two places keep this form. The payload of a change message is a whole stock.
// The field "levels" of the cached Redis hash is the list of its levels. Field
// names are those of the Redis hash, so that a reader of one knows the other.
//
// Invariants:
//   - Encoding cannot fail. Decoding never panics, whatever the input.
//   - A stock that Decode accepts is encoded and decoded again without a change.
//   - Decode ignores fields that it does not know, so that two releases of Onhand
//     can run side by side.
//   - Input is bounded before memory is allocated for it ([BytesMax], [LevelsMax]).
//
// May import: models, models/channel and the standard library.
//
// The package uses no server.
package stockjson
