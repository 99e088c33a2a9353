package database

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
	"onhand/store/database/optimistic"
)

// What the tests of package database_test see beyond the public names.
const (
	AttemptsMax          = attemptsMax
	ContendedMax         = contendedMax
	ConnectionsMax       = dialect.ConnectionsMax
	ExpireMax            = expireMax
	SweepReservationsMax = sweepReservationsMax
	WriteTimeout         = dialect.WriteTimeout
	FeedBatchMax         = ledger.FeedBatchMax
	ContendedFor         = optimistic.ContendedFor
	CachedProductsMax    = optimistic.CachedProductsMax
)

// SetLockWait makes writes wait longer for rows that others work on: tests
// have no combiner that would let them step aside.
func (d *Database) SetLockWait(wait time.Duration) {
	d.bounds.lockWait = wait
	if d.executor != nil {
		d.executor.LockWait = wait
	}
}

// SetLines makes the bounds of one transaction's lines smaller.
func (d *Database) SetLines(reaped, held int) {
	d.bounds.expireLines, d.bounds.reservedLines = reaped, held
}

// SetOverdue is how many holds past their time a sweep looks at together.
func (d *Database) SetOverdue(holds int) { d.bounds.overdue = holds }

// ExpireListed looks at the holds past their time, lets something happen, and
// then ends them.
func (d *Database) ExpireListed(ctx context.Context, between func()) iter.Seq2[models.Outcome, error] {
	holds, err := d.readOverdue(ctx, overdueMax, nil)
	between()
	return func(yield func(models.Outcome, error) bool) {
		if s := (sweep{Database: d}); err != nil || s.run(ctx, d.groupByProduct(holds), yield) {
			yield(models.Outcome{}, err)
		}
	}
}

// Recheck tells how many holds past their time a sweep that met these locks
// tries again, and which products it passes over.
func (d *Database) Recheck(ctx context.Context, locks models.Locks) (again int, kept []string, err error) {
	holds, err := d.readOverdue(ctx, overdueMax, nil)
	if err != nil {
		return 0, nil, err
	}
	later, kept, err := (&sweep{Database: d}).recheck(ctx, holds, locks)
	return len(later), kept, err
}

// SetDrainIdle is how soon the server takes rows back from who carries them and froze.
func (d *Database) SetDrainIdle(idle time.Duration) { d.bounds.drainIdle = idle }

// SetSilence bounds how long the server may be quiet, and an importer idle.
func (d *Database) SetSilence(server, importer time.Duration) {
	d.Quiet, d.Idle = server, importer
}

// SetWriteLimit gives writes longer than writeTimeout.
func (d *Database) SetWriteLimit(wait time.Duration) {
	d.bounds.write = wait
	if d.executor != nil {
		d.executor.Timeout = wait
	}
}

// The bounds of packs.
const (
	ChunkMax      = ledger.ChunkMax
	ChunkMin      = ledger.ChunkMin
	ChunkDelayMax = ledger.ChunkDelayMax
)

// SetWindows makes each SELECT of the ledger look at fewer rows and packs.
func (d *Database) SetWindows(first, most int64) {
	d.Windows = ledger.Windows{First: first, Most: most}
}

// ReservationOf is the id that the reservation of a key has or would have.
func (d *Database) ReservationOf(key string) string {
	hashes := d.meta.Load().secret.HashAll([]models.Write{models.Reserve{IdempotencyKey: key}})
	return decide.ReservationID(hashes[0].Reservation[:])
}

// Migrations are the migrations of this engine, and its goose dialect.
func (d *Database) Migrations() (dialect string, files fs.FS) { return d.engine.Migrations() }

// Fingerprint is what is stored of a write's input, in hex digits.
func Fingerprint(w models.Write) string {
	sum := decide.Fingerprint(w)
	return hex.EncodeToString(sum[:])
}

// CachedProducts is how many products the snapshot cache has.
func (d *Database) CachedProducts() int { return d.executor.CachedProducts() }

// LongContention has an announced change count as contention for as long as a test
// takes.
func (d *Database) LongContention() { d.executor.ContendedFor = time.Hour }

// ExpectContention announces a change, as the sweeper does.
func (d *Database) ExpectContention(products ...string) { d.executor.ExpectContention(products) }

// AuditSettings are some settings of one connection before an audit reads, while it
// does, and after that.
func (d *Database) AuditSettings(ctx context.Context) (before, during, after [2]string, err error) {
	d.DB.SQL.SetMaxOpenConns(1)
	db, cancel := d.Auditing(ctx)
	defer cancel()
	const query = "SELECT current_setting('max_parallel_workers_per_gather'), current_setting('jit')"
	into := func(settings *[2]string) func(dialect.Rows) error {
		return func(r dialect.Rows) error { return r.Scan(&settings[0], &settings[1]) }
	}
	err = errors.Join(dialect.Stream(db, query, nil, into(&before)), d.AuditRows(db, query, nil, into(&during)), dialect.Stream(db, query, nil, into(&after)))
	return before, during, after, err
}
