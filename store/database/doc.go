// Package database is the source of truth. It decides every change of stock in one
// transaction with the changed rows locked.
//
// It is the public face of the packages below it. [Open] chooses the engine by URL.
//
//	decide      decides writes: plain Go over a unit of work
//	optimistic  decides reservations before their transaction, on a snapshot cache
//	ledger      reads and follows the ledger of stock movements, and audits it
//	pages       reads lists of products and reservations in pages
//	importer    takes stock from files
//	postgres    one engine each: transactions, statements, locks, migrations
//	sqlite
//	dialect     connection, fault mapping, scanning, and the SQL that differs, as data
//
// # Flows
//
//	Begin, Add, Commit  a batch of writes: optimistic where it can be, else under lock
//	WriteUnderLock      a batch under lock: lock and load, decide in order, save, commit
//	ExpireDue           the sweep of reservations past their expiry
//	DrainOutbox         changes that Redis has not got yet
//	ReadStocks          one SELECT for any number of products
//
// # Invariants
//
//   - Locks are taken in one order: reservations by id, then levels by product and
//     location, then products by id. Outside writers take the last two in this order.
//     New reservations are inserted first (conditional decrement) or last. A sweep skips
//     locked reservations.
//   - For every writer, a trigger or the batch itself gives each changed product its next
//     version and writes its outbox row, in the same transaction.
//   - Writes that change settings have a batch of their own, one at a time.
//   - Versions of different epochs do not compare.
//   - A commit whose answer was lost is settled by its idempotency key.
//
// May import: models and packages below it, its sub-packages, gorm, goose, pgx (error codes). When the server
// is gone, every call ends within its deadline with a models.Fault of code UNAVAILABLE.
package database
