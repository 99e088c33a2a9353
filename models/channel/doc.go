// Package channel holds what a channel adds to the stock of its locations: the version
// of its view of a product, and the buffers that it keeps back.
//
// Terms:
//   - A revision is the number that grows when a channel or its list of locations
//     changes. Triggers in the database maintain it.
//   - A view is one product over the locations of one channel. Its version orders the
//     channel's revision first, then the product's version ([Version]).
//   - A buffer is a number of units that a channel does not sell. A channel has one for
//     all products. A product can have one of its own for the channel ([Buffers]).
//
// A change of a channel is a newer version of every view of it, and writes no row of a
// product.
//
// Invariants:
//   - The version of a view is below 2^53.
//   - For views of one product, the higher revision has the higher version, as long as
//     the two product versions differ by less than 2^26. What is read or
//     cached of a product is minutes old at most, so they never differ by so much.
//   - Two views of one version have the same revision and the same product version.
//
// May import: the standard library only.
//
// The package uses no server.
package channel
