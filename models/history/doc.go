// Package history has how the stock of a product changed over time.
//
// Terms:
//   - Moments are evenly spaced times, in milliseconds, the oldest first.
//   - A point is what the levels had at one moment. It includes all movements of
//     its millisecond.
//   - A series is one level at all moments. It stores changes only.
//
// Invariants:
//   - A request is bounded in products, points and time; [HistoryRequest.Check]
//     refuses others.
//   - A point equals the stock that the ledger gives for its moment, apart from
//     levels that did not exist yet: those have zeros.
//
// May import: models. It uses no server.
package history
