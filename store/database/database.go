package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/models/holderlimits"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/dialect"
	"onhand/store/database/importer"
	"onhand/store/database/ledger"
	"onhand/store/database/optimistic"
	"onhand/store/database/pages"
	"onhand/store/database/postgres"
	"onhand/store/database/sqlite"
	"onhand/store/database/standby"
)

// Bounds of a write.
const (
	// lockTimeoutMax is how long a write waits for one row that passes from one
	// transaction to the next.
	lockTimeoutMax = 2 * time.Second
)

// Database is the source of truth. It is safe for concurrent use.
type Database struct {
	*dialect.DB
	*ledger.Ledger
	*importer.Importer
	*pages.Lists
	engine dialect.Engine
	// HolderLimits bound what holders of reservations keep; none by default. SetHolderLimits sets them.
	HolderLimits holderlimits.Limits
	// executor decides reservations before their transaction; nil where the engine
	// has no optimistic batches.
	executor *optimistic.Executor
	// batches are the batches that are open or committing.
	batches batches
	// meta is what this database said of itself when it was read last.
	meta atomic.Pointer[Meta]
	// json writes JSON on the hot path.
	json rowjson.JSON
	// bounds are the package's; tests make them smaller, or longer.
	bounds bounds
	// reads counts the SELECTs for stock, for tests and metrics.
	reads atomic.Int64
}

// bounds of one transaction.
type bounds struct {
	write         time.Duration
	lockWait      time.Duration
	drainIdle     time.Duration
	expireLines   int
	reservedLines int
	overdue       int
}

// Open connects to the database that a URL names: postgres://…, sqlite:PATH or
// sqlite::memory:. The server does not have to be up yet: until it is, every call
// is UNAVAILABLE. without switches optimisations off; its zero value switches none off.
func Open(url string, log *slog.Logger, without Switches) (*Database, error) {
	d := &Database{json: rowjson.JSON{Std: without.NoHandwrittenJSON}, bounds: bounds{
		write: dialect.WriteTimeout, lockWait: dialect.LockTimeout, expireLines: expireLinesMax, reservedLines: dialect.ReservedLinesMax, drainIdle: drainIdle, overdue: overdueMax,
	}}
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		db, engine, err := postgres.Open(url, log, without)
		if err != nil {
			return nil, err
		}
		d.DB, d.engine = db, engine
		d.executor = optimistic.NewExecutor(engine, d.identity)
		d.executor.NoConditional = without.NoConditional
		d.Importer = importer.New(db, engine, d)
	case strings.HasPrefix(url, "sqlite:"):
		db, engine, err := sqlite.Open(strings.TrimPrefix(url, "sqlite:"), log)
		if err != nil {
			return nil, err
		}
		d.DB, d.engine = db, engine
		d.Importer = importer.New(db, engine, d)
	default:
		return nil, fmt.Errorf("database url %q: want postgres://…, sqlite::memory: or sqlite:PATH", schemeOf(url))
	}
	d.Ledger, d.Lists = ledger.New(d.DB), pages.New(d.DB, rows{d})
	return d, nil
}

// ListenAt has Listen connect by a URL of its own, past a pooler that is between.
//
// Errors: an engine without notifications; a URL that cannot be parsed, without its password.
func (d *Database) ListenAt(url string) error {
	if err := d.engine.ListenAt(url); !errors.Is(err, models.ErrNoNotifications) {
		return err
	}
	return errors.New("database-listen-url needs Postgres as the database: SQLite has no notifications")
}

// ReadReplica is a hot standby of a database, for reads.
type ReadReplica struct {
	*standby.HotStandby
	primary *Database
}

// OpenReplicas connects to the hot standbys of the database that a postgres:// URL names,
// in its order, with that many connections at most to each. None has to be up.
//
// Errors: an engine without standbys; a URL that cannot be parsed, without its password.
func (d *Database) OpenReplicas(url string, connections int) (replicas []*ReadReplica, err error) {
	if d.Fragments.OneWriter {
		return nil, errors.New("a read replica needs Postgres as the database: SQLite has none")
	}
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, fmt.Errorf("read replica %q: want postgres://…", schemeOf(url))
	}
	servers, err := standby.Open(url, connections, d.Log)
	if err != nil {
		return nil, fmt.Errorf("read replica: %w", err)
	}
	for _, server := range servers {
		replicas = append(replicas, &ReadReplica{server, d})
	}
	return replicas, nil
}

// Read calls read with the database as the standby has it: with every transaction that
// had committed before the call. What read gets is for reads alone. See
// [standby.HotStandby.Read]. A standby that is behind is no fault of its own while the
// primary has not flushed the position: [standby.ErrNotFlushed].
func (r *ReadReplica) Read(ctx context.Context, wait time.Duration, read func(*Database) error) (lagBytes int64, err error) {
	at, err := standby.PositionOf(ctx, r.primary.DB)
	if err != nil {
		return 0, err
	}
	lagBytes, err = r.HotStandby.Read(ctx, at, wait, func(db *dialect.DB) error {
		past, err := ledger.New(db).AsOf(at.Committed)
		if err != nil {
			return err
		}
		seen := &Database{DB: db, Ledger: past}
		seen.Lists = pages.New(db, rows{seen})
		return read(seen)
	})
	if errors.Is(err, standby.ErrBehind) {
		if flushed, unknown := standby.Flushed(ctx, r.primary.DB, at); unknown == nil && !flushed {
			err = standby.ErrNotFlushed
		}
	}
	return lagBytes, err
}

// schemeOf keeps passwords out of error messages.
func schemeOf(url string) string {
	scheme, _, found := strings.Cut(url, ":")
	if !found {
		return "…"
	}
	return scheme + ":…"
}

// Reads returns how many SELECTs for stock were sent so far.
func (d *Database) Reads() int64 { return d.reads.Load() }

// Claim registers this process as one that serves the database: exclusive when no
// other may at the same time, shared with other shared claims. It does not wait.
//
// On SQLite it is a lock on a file beside the database; a database in memory has no
// other process. On Postgres it is an advisory lock on a connection of its own; a
// pooler that lends connections out for one transaction makes it worthless.
//
// Errors: ErrClaimed, ErrNoClaim, UNAVAILABLE.
func (d *Database) Claim(ctx context.Context, exclusive bool) (*dialect.Claim, error) {
	return d.engine.Claim(ctx, exclusive)
}

// Listen calls wake once it listens and then for every change by an outside writer,
// until the connection is lost or ctx ends. On an engine without notifications it
// returns models.ErrNoNotifications at once.
func (d *Database) Listen(ctx context.Context, wake func()) error { return d.engine.Listen(ctx, wake) }

// SetHolderLimits sets the limits of the holders of reservations, before the first write.
func (d *Database) SetHolderLimits(l holderlimits.Limits) {
	d.HolderLimits = l
	if d.executor != nil {
		d.executor.HolderLimits = l
	}
}
