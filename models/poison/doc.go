// Package poison is the error of a read that could not read some of its products.
//
// Terms:
//
//	poison row      a row with a value that this program does not accept
//	poison product  a product that has one, and so cannot be read
//
// Invariants: the read returns the other products beside the error.
//
// May import: the standard library only.
//
// The package uses no server.
package poison
