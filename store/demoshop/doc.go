// Package demoshop is the demo shop: what a server without settings has in its database,
// and what onhand demo loads into an empty one.
//
// Its products are real ones (stockfile.Demo). This package adds what shows the rest of
// the schema: a product that is not tracked, one on backorder with a restock date, one that
// is sold before it has stock, a limit per reservation and one per owner, buffers, expected and damaged units,
// a location that is closed, and a channel that sources from few locations.
//
// Invariants:
//
//   - The products of [Quiet] have the same stock in every demo shop, and simulated
//     shoppers leave them alone: examples in documents use them.
//
// May import: models, openingstock, stockfile, the standard library. It uses no server.
package demoshop
