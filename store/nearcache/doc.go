// Package nearcache keeps the decoded stock of hot products in this instance, so
// that a read of them asks no server.
//
// Terms:
//   - Shared reader: what is asked for products that are not here. It reads Redis
//     and, where that has none, the database.
//   - Feed: one pattern subscription of all products' changes on every Redis master,
//     with a ping every pingInterval.
//   - Fresh: a ping that was sent on the feed less than freshMax ago was answered.
//     Redis answers in order, so every change before that ping has arrived.
//   - Generation: the entries between two resets. A reset starts the next one.
//   - Ticket: the count of changes of a product, taken before its stock is read.
//
// May import: models, models/poison, models/stockbinary, backoff, otter, go-redis, the
// standard library.
//
// Invariants:
//   - An entry is served only while the feed is fresh, by the clocks as the very read
//     finds them. A process that was stopped serves none when it goes on.
//   - A value enters only if Redis had it, the feed was confirmed before it was read,
//     and neither a message of the product nor a reset came since.
//   - Within a generation the version of an entry never falls.
//   - A broken feed, another epoch and a bypass of all products drop every entry. A
//     product is dropped when Redis missed a commit of it, when its row cannot be
//     read, and by a message that is not its stock.
//   - A commit of this instance is in the entry before its callers are answered.
//   - Entries own their memory and weigh at least what they take. Together they weigh
//     at most NearCacheConfig.Bytes, but for a moment.
//   - A hit waits for no lock, and allocates the result only.
//   - There are no negative entries.
//
// When Redis is gone, the feed is not fresh, and every read goes to the shared
// reader.
package nearcache
