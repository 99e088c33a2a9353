// Package channelfeed watches products as a channel sees them.
//
// Terms:
//   - A view is the stock of one product over the locations of one channel. See
//     onhand/models/channel.
//   - The directory is all locations and channels, as this instance has them in memory.
//   - A watch of views turns each stock of a stock watch into a view, with the directory
//     of that moment.
//
// When the directory of this instance changes, [Views.Changed] makes every watch of a
// changed channel repeat its latest stocks. No product is read for that, and no row of
// a product is written. The directory changes when this instance writes a channel, when
// Redis brings the message that another one did, after a reconnect to Redis, and with
// each epoch check, for messages that are lost.
//
// Invariants:
//   - Within an epoch the versions that a watch returns of a product strictly increase.
//   - A watch ends on the view of the newest stock and the newest directory that this
//     instance knows.
//   - After an epoch change a view that is the same is not returned again.
//   - A watch has at most one view in memory for each of its products. Watches of one
//     channel share it.
//
// May import: models, models/stockbinary, the standard library.
//
// The package uses no server. When Redis or the database is gone, watches keep the views
// that they have.
package channelfeed
