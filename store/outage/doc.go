// Package outage logs that a server cannot be reached: once when that begins, every
// 30 seconds with a count while it lasts, and once when it ends. A line for each
// failed call would say nothing more, and there may be thousands a second.
//
// Terms:
//
//	server    the database or Redis; every line names it
//	outage    the time from the first [Log.Away] to the next [Log.Back]
//
// Invariants:
//   - A state is logged once, however often it is noted.
//   - Noting a state that is known already takes no lock.
//   - Nothing is logged after [Log.Stop].
//
// May import: the standard library.
//
// It depends on no server itself.
package outage
