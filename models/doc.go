// Package models holds what Onhand talks about: products, locations, stock
// levels, stock, reservations and the errors a client may meet.
//
// The rules that need no server live here as methods: what a level may hold,
// how a line is spread over locations, which state a reservation may go to.
// So they can be read in one place and tested without a database.
//
// May import: the standard library only. Struct tags for gorm are plain
// strings, so the package needs nothing of gorm.
//
// Invariants: on hand is always derived and never stored; quantities stay
// within ±[QuantityMax]; a resolved reservation never becomes active again.
//
// There is no server behind this package: nothing here can be down.
package models
