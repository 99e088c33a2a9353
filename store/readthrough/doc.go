// Package readthrough reads stock: from Redis where it can, and from the
// database where it must.
//
//	request → batcher → one pipeline of HGETALLs → products that were found
//	                  ↘ misses: batcher → leases → one SELECT → answer → fill Redis
//
// Terms:
//
//	batch          the ids of concurrent callers, each asked for once
//	in flight      a batch that was sent and is not finished; its fill belongs to it
//	shared read    one for all callers that asked for the same page meanwhile
//	cache bypass   reading products from the database for a while, because Redis
//	               may not have a write that was committed
//	unknown id     one that the instance does not know to be a product's
//	poison row     a row that cannot be read and fails every SELECT that meets it
//	bisection      reading the halves of a failed batch, until the poison rows are
//	               known and all other products are answered
//
// Invariants:
//
//   - What callers miss is read by two SELECTs at a time, and no product by both. The
//     halves of a bisection follow one another.
//   - The next batch is read while the one before it fills Redis; four fill at a time.
//   - A fill has a lease older than its SELECT: it never brings back what was replaced.
//   - Only values of the current epoch are read from Redis.
//   - A product whose row cannot be read is an error, never an unknown product.
//   - A caller that gives up leaves its batch. The batch goes on for the others. A
//     caller that reads Redis itself, because nobody else waits, leaves after that
//     one round trip.
//   - Unknown ids are read past Redis, by one SELECT at a time, with pauses. Those asked
//     for again take the usual way, up to a number, and get a negative entry.
//   - Every batch, queue, bisection and bypass list has a bound.
//
// May import: models and packages below it, database, rediscache, x/time/rate.
// Redis, database and epoch come in through interfaces.
//
// When Redis is gone, products are read from the database, batched in the same
// way. When the database is gone, products that Redis has are answered, and the
// others are UNAVAILABLE within the database's deadline.
package readthrough
