// Package quota has how much callers may use of something, and what they have used of
// it.
//
// Terms: a quota is a bucket of Cost units that fills evenly within Window. A use is what
// one instance saw of a caller; a balance, what all instances have left for it.
//
// Invariants: a quota that was parsed has at least one unit and a window of WindowMin to
// WindowMax, or no bound at all.
//
// May import: the standard library.
//
// The package uses no server.
package quota
