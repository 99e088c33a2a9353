// Package shoppers simulates shoppers and a merchant in the demo shop, so that a first
// visitor sees stock move.
//
// Terms: a shopper fills a cart, waits, and then orders it, gives it back or forgets it.
// Orders are shipped or cancelled, and some goods are returned. The merchant receives
// goods when a product runs low.
//
// They use the GraphQL API as any client does, through an http.Handler of this process:
// the same checks, tokens and quotas apply. They stay away from the products that the
// examples of documents use.
//
// Invariants:
//
//   - They run in the demo shop only: [Simulation.Run] refuses any other database.
//   - Each shopper does one thing at a time and pauses between two: the load is bounded.
//   - A reservation lives two minutes at most. What a stopped shopper leaves expires; its
//     orders are shipped at the next start.
//   - Stock hovers: the merchant tops a product up to what the demo shop had at first.
//
// May import: models, demoshop, stockfile, the standard library. When the server refuses
// or fails, they wait and try again.
package shoppers
