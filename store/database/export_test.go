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
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/decide/rowjson"
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
	"onhand/store/database/optimistic"
)

// Unexported names that package database_test uses.
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

// SetLockWait sets how long writes wait for locked rows before they are blocked: tests
// have no group commit that would retry blocked writes.
func (d *Database) SetLockWait(wait time.Duration) {
	d.bounds.lockWait = wait
	if d.executor != nil {
		d.executor.LockWait = wait
	}
}

// SetLines sets the bounds of one transaction's lines: those that it expires, and those
// of reservations that it loads.
func (d *Database) SetLines(expired, reserved int) {
	d.bounds.expireLines, d.bounds.reservedLines = expired, reserved
}

// SetOverdue sets how many overdue reservations a sweep reads at once.
func (d *Database) SetOverdue(n int) { d.bounds.overdue = n }

// ExpireListed reads the overdue reservations, calls between, and then expires them.
func (d *Database) ExpireListed(ctx context.Context, between func()) iter.Seq2[models.Outcome, error] {
	overdue, err := d.readOverdue(ctx, overdueMax, nil)
	between()
	return func(yield func(models.Outcome, error) bool) {
		if s := (sweep{Database: d}); err != nil || s.run(ctx, d.groupByProduct(overdue), yield) {
			yield(models.Outcome{}, err)
		}
	}
}

// Recheck returns how many overdue reservations a sweep that met these locks retries,
// and which products it passes over.
func (d *Database) Recheck(ctx context.Context, locks dialect.Locks) (again int, passedOver []string, err error) {
	overdue, err := d.readOverdue(ctx, overdueMax, nil)
	if err != nil {
		return 0, nil, err
	}
	later, passedOver, err := (&sweep{Database: d}).recheck(ctx, overdue, locks)
	return len(later), passedOver, err
}

// SetDrainIdle sets when the server takes rows back from a relay that froze.
func (d *Database) SetDrainIdle(idle time.Duration) { d.bounds.drainIdle = idle }

// SetSilence bounds how long the server may be silent, and an importer idle.
func (d *Database) SetSilence(server, importer time.Duration) {
	d.Quiet, d.Idle = server, importer
}

// SetWriteLimit sets the deadline of writes.
func (d *Database) SetWriteLimit(wait time.Duration) {
	d.bounds.write = wait
	if d.executor != nil {
		d.executor.Timeout = wait
	}
}

// The bounds of chunks.
const (
	ChunkMax      = ledger.ChunkMax
	ChunkMin      = ledger.ChunkMin
	ChunkDelayMax = ledger.ChunkDelayMax
)

// SetWindows sets how many ids each SELECT of the ledger covers.
func (d *Database) SetWindows(first, most int64) {
	d.Windows.First, d.Windows.Most = first, most
}

// SetHistoryWindows sets how many entries of a product the first SELECT for histories reads,
// and how many of all products a request reads.
func (d *Database) SetHistoryWindows(first, most int64) {
	d.Windows.HistoryFirst, d.Windows.HistoryMost = first, most
}

// ReservationOf returns the id that the reservation of a key has or would have.
func (d *Database) ReservationOf(key string) string {
	hashes := d.meta.Load().secret.HashAll([]models.Write{models.Reserve{IdempotencyKey: key}})
	return decide.ReservationID(hashes[0].Reservation[:])
}

// Migrations returns the migrations of the engine, and its goose dialect.
func (d *Database) Migrations() (dialect string, files fs.FS) { return d.engine.Migrations() }

// Fingerprint returns what is stored of a write's input, in hex digits.
func Fingerprint(w models.Write) string {
	sum := keyhash.Fingerprint(rowjson.JSON{}, w)
	return hex.EncodeToString(sum[:])
}

// Epoch returns the epoch that was read last, empty before the first read.
func (d *Database) Epoch() string {
	epoch, _ := d.identity()
	return epoch
}

// LongContention makes an announced change count as contention for longer than a test.
func (d *Database) LongContention() { d.executor.ContendedFor = time.Hour }

// ExpectContention announces a change, as the sweeper does.
func (d *Database) ExpectContention(products ...string) { d.executor.ExpectContention(products) }

// AuditSettings returns some settings of one connection before, during and after the
// reads of an audit.
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
