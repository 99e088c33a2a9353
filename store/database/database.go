package database

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"onhand/models"
)

// Bounds of this package.
const (
	connectionsMax = 16                     // open connections of one process; a server allows 100 by default, and there may be several copies
	idleMax        = 5 * time.Minute        // an unused connection is closed
	connectTimeout = 2 * time.Second        // one connection, all servers of the URL tried in turn
	readTimeout    = 3 * time.Second        // one read, waiting for a connection included
	writeTimeout   = 5 * time.Second        // one write with all its retries
	partTimeout    = time.Second            // taking leave of a connection; one that does not let go is dropped
	lockTimeout    = 100 * time.Millisecond // waiting for one row somebody else has locked, at first
	lockTimeoutMax = 2 * time.Second        // and when it passes from one transaction to the next
	idleTxTimeout  = "10s"                  // the server gives up on a transaction whose process froze; longer than any write
)

// Database is the truth. It is safe for concurrent use.
type Database struct {
	gorm   *gorm.DB
	sql    *sql.DB
	engine engine
	log    *slog.Logger

	// memory is what holds are decided on ahead of their transaction; nil where
	// none are.
	memory *memory
	// meta is what this database said of itself when it was read last.
	meta atomic.Pointer[Meta]
	// bounds are the package's; tests make them smaller, or longer.
	bounds  bounds
	windows windows
	// reads counts the SELECTs for stock, for tests and metrics.
	reads atomic.Int64
}

// bounds of one transaction.
type bounds struct {
	write     time.Duration
	lockWait  time.Duration
	carryIdle time.Duration
	// quiet and importIdle are of the works of many statements.
	quiet, importIdle time.Duration
	reapLines         int
	heldLines         int
	overdue           int
}

// engine is what differs between Postgres and SQLite.
type engine interface {
	// begin starts a write transaction. It must be ended with commit (through
	// save) or rollback.
	// It waits no longer than lockWait for one row.
	begin(ctx context.Context, lockWait time.Duration) (transaction, error)
	// locked finds which of these rows somebody else keeps locked, in a
	// transaction of its own.
	locked(ctx context.Context, products []string, reservations [][16]byte) (models.Locks, error)
	// overdue lists active holds past their time, oldest first, and their
	// products: at most limit holds, and no more when those have linesMax lines
	// together. It leaves out those that hold one of the products without.
	overdue(ctx context.Context, limit, linesMax int, without []string) ([]overdueHold, error)
	// linesOf lists the products of reservations.
	linesOf(ctx context.Context, reservations [][16]byte) (map[[16]byte][]string, error)
	// ids is SQL for a table of one column "product_id" made from a parameter
	// that jsonList made.
	ids() string
	// places is SQL for a table "n, product_id, id" made from a parameter of JSON.
	places() string
	// now is SQL for the clock; sequence, for the largest outbox id ever given.
	now() string
	sequence() string
	// ago is SQL for the moment as many seconds before now as its parameter says.
	ago() string
	// oneCore is SQL that has the queries of its transaction take no more than one
	// core, and nothing be compiled for them; empty where that is always so.
	oneCore() string
	// snapshot is the isolation in which a transaction reads one moment.
	snapshot() sql.IsolationLevel
	// moment is a time as a parameter.
	moment(t time.Time) any
	// ledger is the table of movements that are rows of their own; entries is SQL
	// for the ledger as it is kept, one row each for these and for packs of many:
	// movement_id (of the first) to last_id, size, the deltas together, the
	// quantities after the last, and whether it is sound; entriesOfSpan joins them
	// as m to s, products with a first id. movementStep is how many ids an entry
	// takes. packedAfter is more of what levelsAfter adds up.
	ledger() string
	entries() string
	entriesOfSpan() string
	movementStep() int64
	packedAfter() string
	// movements is the SELECT of what a query asks for, with its parameters.
	movements(q *movementQuery) (string, []any)
	// movementEnds is SQL for the largest movement id ever given, and for the
	// first of those that are given in steps; committed, for what has committed,
	// as pg_current_snapshot() writes it; txid, for the transaction that wrote the
	// row or pack m, 0 when that was in a database it was copied from; txidColumn
	// is that as it is stored.
	movementEnds() string
	committed() string
	txid() string
	txidColumn() string
	// oneWriter tells that a write transaction stops every other one.
	oneWriter() bool
	// openParts is SQL for what open reservations hold: for each allocation
	// product_id, location_id, the reservation's state, how many reservations are
	// alike in state and lines, the allocation's quantity,
	// how many units of its line are gone already (gone), and how many the
	// allocations up to and with this one have (through; may be null where gone
	// is 0).
	openParts() string
	// skipLocked is the clause that passes over rows somebody else works on.
	skipLocked() string
	migrations() (dialect string, folder string)
	// survivable tells whether a batch that failed with this error may succeed
	// later; if not, something is wrong with the batch itself.
	survivable(err error) bool
	listen(ctx context.Context, wake func()) error
}

// Open connects to the database a URL names: postgres://…, sqlite:PATH or
// sqlite::memory:. It does not need the server to be up: what is asked of it
// meanwhile answers UNAVAILABLE.
func Open(url string, log *slog.Logger) (*Database, error) {
	var (
		db        *Database
		dialector gorm.Dialector
		err       error
	)
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db, dialector, err = openPostgres(url)
	case strings.HasPrefix(url, "sqlite:"):
		db, dialector, err = openSQLite(strings.TrimPrefix(url, "sqlite:"))
	default:
		return nil, fmt.Errorf("database url %q: want postgres://…, sqlite:PATH or sqlite::memory:", schemeOf(url))
	}
	if err != nil {
		return nil, err
	}
	db.log = log
	db.bounds = bounds{write: writeTimeout, lockWait: lockTimeout, reapLines: reapLinesMax, heldLines: heldLinesMax, carryIdle: carryIdle, quiet: quietMax, importIdle: importIdle, overdue: overdueMax}
	db.windows = windows{first: windowFirst, most: windowMax}
	db.gorm, err = gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard, // errors are returned; nothing is logged twice
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		PrepareStmt:            false,
	})
	if err != nil {
		_ = db.sql.Close()
		return nil, fmt.Errorf("open database: %w", err)
	}
	return db, nil
}

// schemeOf keeps passwords out of error messages.
func schemeOf(url string) string {
	scheme, _, found := strings.Cut(url, ":")
	if !found {
		return "…"
	}
	return scheme + ":…"
}

// Close ends all connections.
func (d *Database) Close() error { return d.sql.Close() }

// Ping tells whether the server answers.
func (d *Database) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	return d.fault(d.sql.PingContext(ctx))
}

// Reads is how many SELECTs for stock were sent so far.
func (d *Database) Reads() int64 { return d.reads.Load() }

// Connections are the numbers of the connection pool.
func (d *Database) Connections() sql.DBStats { return d.sql.Stats() }

// fault makes any error one that may be shown to a client: what a retry may
// survive is UNAVAILABLE, the rest is our own mistake.
func (d *Database) fault(err error) error {
	if err == nil || models.CodeOf(err) != models.CodeInternal {
		return err
	}
	if d.engine.survivable(err) {
		return models.Unavailable("the database cannot be reached; try again", err)
	}
	return &models.Fault{Code: models.CodeInternal, Message: "internal error", Cause: err}
}

// reading prepares a read with its deadline.
func (d *Database) reading(ctx context.Context) (*gorm.DB, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	return d.gorm.WithContext(ctx), cancel
}
