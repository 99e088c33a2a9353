// Package models has the domain: products, locations, stock, reservations, the
// ledger, the writes that change them, and the errors a client can get.
//
// Terms:
//   - A level is the stock of one product at one location, with a quantity for each
//     state (available, reserved, committed, ...). A stock is a product with all its
//     levels, at one version.
//   - A reservation takes units of several products for a limited time.
//   - A movement is what one operation did to one level. The append-only ledger stores it
//     as a row, or as part of a ledger chunk.
//   - A write is one request to change something. A bulk write has rows, each with
//     errors of its own.
//   - A user error is a refusal that is part of an answer. A fault ends the request.
//
// Rules that need no server are methods here: the limits of a level, how a line is spread over locations, which state a
// reservation may change to. They can be read in one place and tested without a database. The JSON form of a stock is
// in models/stockbinary.
//
// Invariants:
//   - On hand is always computed and never stored.
//   - Quantities stay within ±[QuantityMax].
//   - A reservation that has left ACTIVE never becomes ACTIVE again.
//
// May import: models/channel, models/ids, models/owner, the standard library. The gorm tags are plain strings.
//
// The package uses no server.
package models
