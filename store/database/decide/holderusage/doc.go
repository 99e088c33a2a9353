// Package holderusage keeps what holders have while a transaction decides on their
// reservations: the numbers that were loaded, and their changes.
//
// # Terms
//
//	holding   a holder's units of one product; with the empty product, the number of its
//	          reservations. Only counted active reservations are in it (models/holderlimits)
//	purchase  of a product that has a limit for each owner: a holder's units of it, in active
//	          reservations and in orders of the product's period, counted or not
//	locked    the holder's row of the empty product is locked: nobody else changes any
//	          holding of the holder before the transaction ends
//
// # Invariants
//
//   - Every reservation that becomes or ceases to be counted and active passes [Holdings.Move].
//   - A change of a holder that is not locked is noted ([Holdings.Unlocked]); the transaction is
//     then tried again.
//   - Purchases of a product are read with the product's row locked. Every writer that takes
//     units of it has that lock, so no holder needs one.
//
// May import: models, models/holderlimits, models/owner. The package uses no server.
package holderusage
