// Package ids says which ids there may be, and makes and parses global ids.
//
// Terms:
//
//	own id     the id that a shop gives to a product, a location or a channel
//	global id  the id by which the GraphQL API knows an object of any type. It begins
//	           with [Prefix], but for two types that other graphs and carts know
//	           already: a product has its own id, and a reservation [ReservationPrefix]
//	           and 32 hex digits
//
// Invariants:
//   - A global id names one object, and has one spelling.
//   - No own id has [Prefix], and no product's own id the form of a reservation's id.
//   - An own id has no control or format characters, and at its ends neither blanks nor
//     other characters that a reader cannot see.
//
// May import: the standard library only.
//
// The package uses no server.
package ids
