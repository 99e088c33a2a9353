package sqlite

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/ncruces/go-sqlite3/gormlite"
	"github.com/ncruces/go-sqlite3/vfs/memdb"

	"onhand/models"
	"onhand/store/database/dialect"
)

// readersMax is how many connections read beside the one that writes.
const readersMax = 4

// Engine is the engine for SQLite. SQLite has one writer, so write transactions of this
// process take turns: waiting here costs less than being refused by SQLite.
type Engine struct {
	db   *dialect.DB
	sql  *sql.DB
	turn chan struct{}
	file string // empty in memory
}

// memories numbers the databases in memory, which connections share by name.
var memories atomic.Int64

// Open opens a database file, or :memory:.
//
// Errors: no path; a folder that does not exist.
func Open(path string, log *slog.Logger) (*dialect.DB, *Engine, error) {
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
			return nil, nil, errors.New("database url: sqlite: needs :memory: or a path")
		}
		if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
			return nil, nil, fmt.Errorf("database url: there is no folder %s", filepath.Dir(path))
		}
		query["_pragma"] = append(query["_pragma"], "journal_mode(wal)")
		name, file = (&url.URL{Path: path}).EscapedPath(), path
	}
	pool, err := driver.Open("file:" + name + "?" + query.Encode())
	if err != nil {
		return nil, nil, fmt.Errorf("open %s: %w", path, err)
	}
	pool.SetMaxOpenConns(readersMax + 1)
	pool.SetMaxIdleConns(readersMax + 1)
	db, err := dialect.NewDB(pool, gormlite.OpenDB(pool), &fragments, log)
	if err != nil {
		_ = pool.Close()
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	return db, &Engine{db: db, sql: pool, turn: make(chan struct{}, 1), file: file}, nil
}

//go:embed migrations
var migrationFiles embed.FS

// Migrations implements [dialect.Engine].
func (e *Engine) Migrations() (string, fs.FS) {
	files, _ := fs.Sub(migrationFiles, "migrations") // embedded; cannot fail
	return "sqlite3", files
}

// Drain implements [dialect.Engine] without a claim: a write transaction that is open
// while Redis is called would stop every sale. Two processes may publish the same row;
// versions make that harmless. It reads nothing ahead, because nothing is announced.
func (e *Engine) Drain(ctx context.Context, limit, _ int, _ time.Duration, publish func(context.Context, []models.Change, []*models.Stock) error) (int, error) {
	ids, changes, err := e.outbox(ctx, limit)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	if err := publish(ctx, changes, nil); err != nil {
		return 0, err
	}
	return len(ids), e.db.Gorm.WithContext(ctx).Exec("DELETE FROM outbox WHERE outbox_id IN ?", ids).Error
}

// outbox reads the oldest rows with their ids.
func (e *Engine) outbox(ctx context.Context, limit int) (ids []int64, changes []models.Change, err error) {
	rows, err := e.sql.QueryContext(ctx, "SELECT outbox_id, product_id, version FROM outbox ORDER BY outbox_id LIMIT ?", limit)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id int64
		var change models.Change
		if err := rows.Scan(&id, &change.ProductID, &change.Version); err != nil {
			return nil, nil, err
		}
		ids, changes = append(ids, id), append(changes, change)
	}
	return ids, changes, rows.Err()
}

// Listen implements [dialect.Engine].
func (e *Engine) Listen(context.Context, func()) error { return models.ErrNoNotifications }

// ListenAt implements [dialect.Engine].
func (e *Engine) ListenAt(string) error { return models.ErrNoNotifications }

// Locked implements [dialect.Engine]. SQLite has no row locks.
func (e *Engine) Locked(context.Context, []string, [][16]byte) (dialect.Locks, error) {
	return nil, nil
}

// LinesOf implements [dialect.Engine].
func (e *Engine) LinesOf(context.Context, [][16]byte) (map[[16]byte][]string, error) {
	return nil, nil
}

// transaction is a transaction on the one connection that writes.
type transaction struct {
	db   *dialect.DB
	tx   *sql.Tx
	done func()
}

// Begin implements [dialect.Engine].
func (e *Engine) Begin(ctx context.Context, _ time.Duration) (dialect.Transaction, error) {
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
		if dialect.Busy(err) {
			err = fmt.Errorf("%w: %w", dialect.ErrRetry, err)
		}
		return nil, err
	}
	return &transaction{db: e.db, tx: tx, done: done}, nil
}

// Rollback implements [dialect.Transaction].
func (t *transaction) Rollback() {
	if t.done == nil {
		return
	}
	_ = t.tx.Rollback()
	t.done()
	t.done = nil
}
