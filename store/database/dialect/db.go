package dialect

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"onhand/models"
	"onhand/tracing"
)

// Bounds of a connection.
const (
	ConnectionsMax = 16                     // open connections of one instance; a server allows 100 by default, and there may be several instances
	IdleMax        = 5 * time.Minute        // an unused connection is closed
	ConnectTimeout = 2 * time.Second        // one connection, all servers of the URL tried in turn
	ReadTimeout    = 3 * time.Second        // one read, waiting for a connection included
	WriteTimeout   = 5 * time.Second        // one write with all its retries
	LeaveTimeout   = time.Second            // returning a connection; one that cannot be returned clean is closed
	LockTimeout    = 100 * time.Millisecond // waiting for one row that another transaction has locked
	IdleTxTimeout  = "10s"                  // the server ends a transaction whose process froze; longer than any write
)

// DB is the connection pool of one database, shared by gorm and by statements
// written by hand, with the SQL that differs between the engines.
type DB struct {
	Gorm      *gorm.DB
	SQL       *sql.DB
	Fragments *Fragments
	Log       *slog.Logger

	unreachable atomic.Int64
}

// NewDB wraps an open pool.
func NewDB(pool *sql.DB, dialector gorm.Dialector, fragments *Fragments, log *slog.Logger) (*DB, error) {
	orm, err := gorm.Open(dialector, &gorm.Config{
		Logger:                 logger.Discard, // errors are returned; nothing is logged twice
		SkipDefaultTransaction: true,
		DisableAutomaticPing:   true,
		PrepareStmt:            false,
		QueryFields:            true, // no SELECT *: a prepared one fails once after another instance has added a column
	})
	return &DB{Gorm: orm, SQL: pool, Fragments: fragments, Log: log}, err
}

// Close closes all connections.
func (d *DB) Close() error { return d.SQL.Close() }

// Ping reports whether the server answers.
func (d *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	return d.Fault(d.SQL.PingContext(ctx))
}

// Connections returns the numbers of the connection pool.
func (d *DB) Connections() sql.DBStats { return d.SQL.Stats() }

// ReadSession returns a gorm session for one read with its deadline.
func (d *DB) ReadSession(ctx context.Context) (*gorm.DB, context.CancelFunc) {
	ctx, span := tracing.Start(ctx, "SQL read")
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	if !span.Recorded() {
		return d.Gorm.WithContext(ctx), cancel
	}
	return d.Gorm.WithContext(ctx), func() {
		cancel()
		span.End()
	}
}

// Session returns a gorm session on a connection or transaction that is open already.
func (d *DB) Session(ctx context.Context, conn gorm.ConnPool) *gorm.DB {
	session := d.Gorm.Session(&gorm.Session{NewDB: true, Context: ctx})
	session.Statement.ConnPool = conn
	return session.Session(&gorm.Session{})
}

// Fault turns any error into one that a client may see: UNAVAILABLE where a retry
// may succeed, else INTERNAL.
func (d *DB) Fault(err error) error {
	if err == nil || models.CodeOf(err) != models.CodeInternal {
		return err
	}
	if Survivable(err) {
		if !errors.Is(err, context.Canceled) { // the caller has gone
			d.unreachable.Add(1)
		}
		return models.Unavailable("the database cannot be reached; try again", err)
	}
	return &models.Fault{Code: models.CodeInternal, Message: "internal error", Cause: err}
}

// Unreachable returns how many calls have ended UNAVAILABLE because of the database.
func (d *DB) Unreachable() int64 { return d.unreachable.Load() }

// Stream calls each for every row of a query as it arrives, so that memory does not
// grow with the result.
func Stream(db *gorm.DB, query string, args []any, each func(Rows) error) error {
	r, err := db.Raw(query, args...).Rows()
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		if err := each(r); err != nil {
			return err
		}
	}
	return r.Err()
}

var (
	// ErrRetry wraps errors of an engine after which the same transaction may succeed at
	// once. ErrLocked wraps errors of a lock that was not granted in time.
	ErrRetry  = errors.New("try again")
	ErrLocked = errors.New("locked by another transaction")

	// ErrTooLarge refuses a batch of several writes whose reservations have too many
	// lines together. It also refuses a batch of several writes of which one changes
	// settings, because such a write needs a transaction of its own. Nothing was
	// written; send the batch's halves.
	ErrTooLarge = errors.New("the batch is too large for one transaction")

	// ErrClaimed says that another process holds a claim that excludes ours.
	ErrClaimed = errors.New("another process has claimed the database")
	// ErrNoClaim says that this database, or its file system, has no claims.
	ErrNoClaim = errors.New("claims cannot be held here")
)
