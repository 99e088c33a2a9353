package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"onhand/models"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/gormlite"
	"github.com/ncruces/go-sqlite3/vfs/memdb"
	"gorm.io/gorm"
)

// sqliteReaders is how many connections read beside the one that writes.
const sqliteReaders = 4

// sqliteEngine writes one transaction at a time: SQLite has one writer, and
// waiting for our turn here costs less than being refused there.
type sqliteEngine struct {
	sql  *sql.DB
	turn chan struct{}
	file string // empty in memory
}

// memories numbers in-memory databases, which are shared by name.
var memories atomic.Int64

func openSQLite(path string) (*Database, gorm.Dialector, error) {
	query := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(3000)", "foreign_keys(on)", "synchronous(full)", "temp_store(memory)",
	}}
	var name, file string
	if path == ":memory:" {
		id := "onhand-" + strconv.FormatInt(memories.Add(1), 10)
		memdb.Create(id, nil)
		name = "/" + id
		query.Set("vfs", "memdb")
	} else {
		if path == "" {
			return nil, nil, errors.New("database url: sqlite: needs a path, or :memory:")
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, nil, fmt.Errorf("database folder: %w", err)
		}
		query["_pragma"] = append(query["_pragma"], "journal_mode(wal)")
		name, file = (&url.URL{Path: path}).EscapedPath(), path
	}
	pool, err := driver.Open("file:" + name + "?" + query.Encode())
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(sqliteReaders + 1)
	pool.SetMaxIdleConns(sqliteReaders + 1)
	db := &Database{sql: pool, engine: &sqliteEngine{sql: pool, turn: make(chan struct{}, 1), file: file}}
	return db, gormlite.OpenDB(pool), nil
}

func (e *sqliteEngine) ids() string { return `(SELECT value AS product_id FROM json_each(?))` }

func (e *sqliteEngine) now() string { return sqliteNow }
func (e *sqliteEngine) sequence() string {
	return "coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'outbox'), 0)"
}
func (e *sqliteEngine) ago() string                  { return e.now() + " - ? * 1000000" }
func (e *sqliteEngine) snapshot() sql.IsolationLevel { return sql.LevelDefault }
func (e *sqliteEngine) oneCore() string              { return "" }
func (e *sqliteEngine) oneWriter() bool              { return true }
func (e *sqliteEngine) skipLocked() string           { return "" }
func (e *sqliteEngine) migrations() (string, string) {
	return "sqlite3", "migrations/sqlite"
}

// ErrNoListen says that the engine has no notifications; poll instead.
var ErrNoListen = errors.New("this database sends no notifications")

func (e *sqliteEngine) listen(context.Context, func()) error { return ErrNoListen }

// survivable tells what another attempt, some time later, may survive.
func (e *sqliteEngine) survivable(err error) bool {
	return busy(err) || errors.Is(err, errRetry) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) ||
		errors.Is(err, sqlite3.INTERRUPT) || errors.Is(err, sqlite3.FULL) || errors.Is(err, sqlite3.IOERR) || errors.Is(err, sqlite3.CANTOPEN)
}

// locked: there are no row locks here; who writes locks everything.
func (e *sqliteEngine) locked(context.Context, []string, [][16]byte) (models.Locks, error) {
	return nil, nil
}

func (e *sqliteEngine) linesOf(context.Context, [][16]byte) (map[[16]byte][]string, error) {
	return nil, nil
}

func busy(err error) bool { return errors.Is(err, sqlite3.BUSY) || errors.Is(err, sqlite3.LOCKED) }

// sqliteTx is a transaction on the one writing connection.
type sqliteTx struct {
	tx   *sql.Tx
	done func()
}

func (e *sqliteEngine) begin(ctx context.Context, _ time.Duration) (transaction, error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	done := func() { <-e.turn }
	tx, err := e.sql.BeginTx(ctx, nil) // IMMEDIATE, by _txlock
	if err == nil {
		_, err = tx.ExecContext(ctx, "UPDATE onhand_writer SET active = 1")
		if err != nil {
			_ = tx.Rollback()
		}
	}
	if err != nil {
		done()
		if busy(err) {
			err = fmt.Errorf("%w: %w", errRetry, err)
		}
		return nil, err
	}
	return &sqliteTx{tx: tx, done: done}, nil
}

func (t *sqliteTx) rollback() {
	if t.done == nil {
		return
	}
	_ = t.tx.Rollback()
	t.done()
	t.done = nil
}
