// Replay lives through a real shop's year again: it sends every invoice of the UCI Online Retail file through the
// GraphQL API of a running server, with many customers at once, and then checks that not one unit was lost or sold twice.
//
//	go run . import --opening full FILE   # into an empty database
//	go run . &
//	go run ./bench/replay --file FILE
//
// A sale is a reservation of all its lines and its commit; a cancellation puts units back; an adjustment writes them
// off. A call whose answer is lost is repeated with the same idempotency key until it is answered, so the program
// knows the outcome of every invoice and with it the stock there must be. The audit then compares: what was counted
// here with what the API says, the ledger with the levels, the cache with the database.
//
// May import: models, store (for its audit only), store/stockfile. The comparison of ledger, levels, reservations and
// cache is that of "onhand audit", whose SQL is apart from the code that writes; what was counted here is the second
// opinion on both.
//
// Invariants: the queue, the customers, the retries, what is listed and how long the audit waits are bounded by named
// constants; an invoice of which the outcome is not known is counted as unsettled, never guessed.
//
// When the server is gone, calls are repeated for --patience. After [unsettledMax] invoices without an outcome the run
// ends, and the program exits with 1, as it does when the audit finds a difference.
package main
