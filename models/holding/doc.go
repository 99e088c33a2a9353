// Package holding bounds how much stock one holder may keep from others.
//
// # Terms
//
//	holder    whose a reservation is ([owner.Holder]); the empty one has no limits
//	holdings  the active reservations of a holder, and their units by product
//	counted   of a reservation: the holder's row in the database includes it
//	first     a small reservation that an instance grants without that row, one for each
//	          holder within [FirstTTLMax]: a row for each new shopper would cost a fifth of
//	          a reservation
//
// # Invariant
//
// No holder has more than a limit, over all instances. The database decides on counted
// reservations, with the holder's row locked. Firsts are kept back beforehand: a limit
// that is large enough leaves counted reservations that much less ([CountedReservations],
// [CountedUnits]); below that there are no firsts, and the limit is exact. That
// covers [InstancesMax] instances that serve one database at once.
//
// The share of a product's stock is compared when units are taken: stock that goes away
// later refuses nothing that was granted.
//
// May import: models, models/owner. The package uses no server.
package holding
