// Package counting applies a count of stock that is written later than it was made: the
// new quantity is what was counted, and what the ledger says came and went since.
//
// # Terms
//
//	count       the quantity of one state of one level at one moment
//	basis       what the ledger says of a level since a moment
//	correction  the units that a written count added to the state, or took from it
//	newest      the moment of the newest count of a state that was written
//
// # Invariants
//
//   - A count is effective at its own moment. So the movement by which an earlier count
//     was written is no movement since: units would be corrected twice.
//   - The units of a reservation are available from its expiry on, whenever its end was
//     written.
//   - A count that is older than the newest one of its state is refused. So the corrections
//     of all written counts are effective before the next one.
//   - A basis has a bounded number of ledger entries.
//
// May import: models. The package uses no server.
package counting
