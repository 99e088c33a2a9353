// Package ledger reads the append-only ledger of stock movements: in pages, onwards from a
// cursor, as of a moment, and beside the levels for the audit.
//
// # Terms
//
//	entry     a stored row of the ledger: one movement, or a chunk of many
//	chunk     up to ChunkMax movements of one level, from available to reserved
//	window    the range of ids that one SELECT covers
//	snapshot  the transactions that had committed at a moment
//	position  two snapshots and an id: how far a feed has come; a cursor is its text
//
// Movement ids are not in the order of commits: a transaction takes ids before it commits.
// A feed therefore goes in steps. A step returns what committed between two snapshots, in
// id order.
//
// # Invariants
//
//   - A feed returns every movement once, and those of one product in version order.
//   - A page costs the same wherever it is. Every call is bounded by its windows.
//   - A cursor of another ledger is refused.
//
// May import: models and packages below it, decide, dialect, gorm. When the server is gone, every call returns
// UNAVAILABLE within its deadline, and a feed continues where it was.
package ledger
