// Package holderlimits bounds how much stock one holder may keep from others.
//
// # Terms
//
//	holder     whose a reservation is ([owner.Holder]); the empty one has no limits
//	holdings   the active reservations of a holder, and their units by product
//	counted    of a reservation: the holder's row in the database includes it
//	uncounted  of a small reservation: an instance grants it without that row, one for each
//	           holder within [UncountedTTLMax]. A row for each new shopper would cost as
//	           much as the reservation
//
// # Invariant
//
// No holder has more than a limit, over all instances. The database decides on counted
// reservations, with the holder's row locked. A limit that is large enough leaves room
// for uncounted reservations: counted ones get that much less ([CountedReservations],
// [CountedUnits]). Below that every reservation is counted, and the limit is exact. That
// covers [InstancesMax] instances that serve one database at once.
//
// The share of a product's stock is compared when units are taken: stock that goes away
// later refuses nothing that was granted.
//
// May import: models, models/owner. The package uses no server.
package holderlimits
