// Package database is the truth: it decides every change of stock, in one
// transaction with the touched rows locked.
//
// It runs on Postgres and on SQLite. Both share everything but a thin engine
// (postgres*.go, sqlite*.go) that loads what a batch of writes touches and saves
// what was decided. The decisions themselves (decide*.go) are plain Go over
// what was loaded: no SQL, no clock of their own, the same for both.
//
//	Write       batch of writes → lock and load → decide in order → save → commit
//	Plan        holds decided ahead on what is remembered → compare and lock, save, commit,
//	            by version (postgres_ahead.go) or by stock (postgres_by_stock.go)
//	ReadStocks  one SELECT for any number of products; ReadStockAsOf, one as it was
//	Movements   the ledger in pages (ReadMovements) and onwards from a place (Feed)
//	Import      a file's rows, all or none, compared and written set by set
//	EachStock   everything as of one moment, a product at a time
//	Audit       levels beside their ledger and their reservations (AuditLedger)
//	Outbox      what changed and has not reached Redis yet
//
// models.Locks are taken in one order everywhere: reservations by id, then levels by
// product and location, then products by id. An outside writer takes the last
// two in the same order, the products in the triggers.
//
// Triggers give a product its next version and put it into the outbox, so it
// makes no difference who writes; on Postgres a batch, which has the products
// locked, does the same in one statement and the triggers leave it alone. Levels
// changed by others also get a ledger row, with reason EXTERNAL.
//
// What is remembered of products (memory.go) is what the last write here left, or
// what was read for want of one, with its version and its shape: a number for the
// settings and the list of levels, which triggers count. It decides nothing. A
// plan made on it is compared with the rows under lock, and refused where anything
// differs. Where other copies or the sweeper change its products too, and each has
// one level, it goes by stock: the shape must be the same and there must be enough;
// versions and quantities come of the rows, and what is told is what the database
// gave back.
//
// Settings writes (of products, locations, channels) go alone in their batch and
// one at a time. An import locks the levels it sets until its commit.
//
// Connections to Postgres poll for the answers to large requests (postgres_conn.go).
//
// Movement ids are not the order of commits; a place in the ledger is two
// snapshots and an id (movement_position.go).
//
// On Postgres what a plan holds of one level is kept as one row, a pack
// (packs.go); everything else writes rows. Readers see movements either way: of
// rows and packs they take no more than they are asked for, by the first ids of
// packs, and unpack those (movement_select.go).
//
// An epoch names the history that versions belong to. Versions of different
// epochs do not compare.
//
// May import: models, gorm, pgx, go-sqlite3, goose. Not its neighbours.
//
// When its server is gone every call ends within its deadline with a
// models.Fault of code UNAVAILABLE, and works again when the server is back.
// A commit whose answer was lost is settled by its idempotency key. [Explain]
// tells whoever starts a program what waiting will not mend.
package database
