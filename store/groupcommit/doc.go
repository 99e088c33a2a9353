// Package groupcommit joins concurrent writes into transactions: the writes that arrive
// while one is running share the next.
//
// Terms:
//
//   - A batch is the writes of one transaction. Deciding and committing it is the
//     database's work, behind [WriteBatch]: an optimistic batch is decided write by write as
//     it is added to, on the snapshot cache; any other is decided under lock.
//   - A waiter is a caller and its write. The queue has the waiters whose writes are in
//     no batch yet.
//   - The open batch takes writes. At most one batch is in flight, dispatched and not
//     finished.
//   - A write is blocked while another transaction keeps rows locked that it needs.
//   - The commit delay is a short wait for more writes before a dispatch.
//
// A waiter:
//
//	Submit --> queue --Add--> open batch --dispatch--> in flight --finish--> answered
//	             ^ ^              |                        |
//	             | `---Discard----'                        | rows are locked
//	             `---rows are free------ blocked <---------'
//
// The open batch is discarded when one of its callers gave up, or when the batch before
// it met locked rows. Its other writes are added again.
//
// Invariants: writes are added in the order of arrival, and none overtakes another but
// one that is blocked; a write whose caller gave up before the dispatch does not happen;
// every waiter is answered once, within WaitMax and a tick; a result is published before
// its waiters are answered, while the next batch may be in flight; every queue is bounded.
//
// Three optimisations have a file each and can be switched off by [CommitterSwitches]: the commit
// delay (delay.go), the reading of missing products (prefetch.go), and one ticker for
// all late waiters (ticker.go). blocked.go keeps one forgotten transaction in a console
// from stopping the shop.
//
// May import: models, database.
//
// When the database is gone, each batch fails within the database's own deadline, and
// its waiters are answered UNAVAILABLE.
package groupcommit
