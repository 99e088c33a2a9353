// Package persisted implements automatic persisted queries: a client sends the SHA-256
// hash of a document instead of the document.
//
// Terms: to register a document is to send it with its hash. A hit is a hash that the
// server knows, a miss one that it does not know. After a miss the client registers
// the document: one more request.
//
// The documents are in the memory of the process. In Redis they would share its memory
// with the stock, and a caller that registers documents could evict it. A lookup would
// cost a round trip, and a miss would depend on Redis. In memory, each instance needs
// each document once. No request fails for that: the request that registers a document
// has the document with it.
//
// Invariants:
//   - A document is found under its own hash only.
//   - Only a document that was parsed, validated and within the limits is registered.
//   - The number and the bytes of all documents are bounded, and so are those of each
//     caller. A caller that registers too many loses its own documents. When all
//     callers together have too many, the caller with the most loses one.
//   - The messages and codes are Apollo Server's, because clients compare them.
//
// May import: models, gqlgen's runtime, golang-lru.
//
// The package uses no server.
package persisted
