// Replay sends a real shop's year through the GraphQL API: every invoice of the UCI Online Retail file, to a running
// server, with many customers at once. Then it checks that not one unit was lost or sold twice.
//
//	go run . import --opening full FILE   # into an empty database
//	HOLDER_LIMITS=off go run . &          # a customer of this wholesaler orders thousands
//	go run ./bench/replay --file FILE
//
// A sale is a reservation of all its lines and its commit. A cancellation puts units back, an adjustment writes them off.
// A call whose answer is lost is repeated with the same idempotency key until it is answered. So the program knows the
// outcome of every invoice, and with it the stock that there must be. The audit then compares:
//   - what the program counted with what the API says;
//   - the ledger with the levels, the reservations with the levels, and the cache with the database. This part is that
//     of "onhand audit", whose SQL is separate from the code that writes.
//
// A shortage binds no key. When it follows a lost attempt, it counts as the outcome; should that attempt take effect after
// it, the audit finds the difference.
//
// Invariants: the queue, the customers, the retries, what is listed and how long the audit waits are bounded by named
// constants. An invoice whose outcome is not known is counted as unknown, never guessed.
//
// It may import models, store (for its audit only), store/stockfile and bench/loadgen.
//
// When the server is gone, calls are repeated for --retry-for. After [unknownMax] invoices without an outcome the run
// ends, and the program exits with 1, as it does when the audit finds a difference.
package main
