// Package ledgerfeed follows the ledger from a cursor: it gives subscribers every
// stock movement once, and the changes of stock status that follow from
// movements.
//
// Terms:
//
//	movement        what one operation did to one level; stored as a ledger row, or as
//	                part of a ledger chunk
//	cursor          a place in the ledger. Movement ids are not in the order of
//	                commits, so a cursor also names the transactions that it has passed.
//	follower        one subscriber's reader of the ledger
//	product change  what one transaction did to one product: the movements between its
//	                first and its last
//	broadcast       wakes every waiting follower after a commit of this process
//
// Invariants:
//
//   - A follower delivers each movement once, whatever order transactions commit
//     in, also when its cursor is used again later.
//   - Nothing queues up: a follower reads only when its subscriber asks for more,
//     and keeps at most one reading.
//   - A status is the status at that movement, not that of now. Settings are those
//     of now: a change of settings alone is no movement.
//   - The followers of a process are bounded, and so is the work of one reading.
//
// A commit of this process wakes its followers at once. Movements that others
// write are found by a poll four times a second.
//
// May import: models, database, backoff, the standard library. The database and
// the directory come in through interfaces.
//
// When the database is gone, followers wait with a growing backoff and go on from
// their cursors when it is back. Redis is not used here.
package ledgerfeed
