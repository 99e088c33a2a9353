package database

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"io/fs"
	"iter"
	"time"

	"onhand/models"
)

// What the tests of package database_test see beyond the public names.
const (
	AttemptsMax    = attemptsMax
	ContendedMax   = contendedMax
	ConnectionsMax = connectionsMax
	ReapMax        = reapMax
	SweepHoldsMax  = sweepHoldsMax
	WriteTimeout   = writeTimeout
	MovedMax       = movedMax
	ContestedFor   = contestedFor
	RememberedMax  = rememberedMax
)

// SetLockWait makes writes wait longer for rows that others work on: tests
// have no combiner that would let them step aside.
func (d *Database) SetLockWait(wait time.Duration) { d.bounds.lockWait = wait }

// SetLines makes the bounds of one transaction's lines smaller.
func (d *Database) SetLines(reaped, held int) { d.bounds.reapLines, d.bounds.heldLines = reaped, held }

// SetOverdue is how many holds past their time a sweep looks at together.
func (d *Database) SetOverdue(holds int) { d.bounds.overdue = holds }

// ExpireSeen looks at the holds past their time, lets something happen, and
// then ends them.
func (d *Database) ExpireSeen(ctx context.Context, between func()) iter.Seq2[models.Outcome, error] {
	holds, err := d.readOverdue(ctx, overdueMax, nil)
	between()
	return func(yield func(models.Outcome, error) bool) {
		if s := (sweep{Database: d}); err != nil || s.run(ctx, d.together(holds), yield) {
			yield(models.Outcome{}, err)
		}
	}
}

// LockedAgain tells how many holds past their time a sweep that met these locks
// tries again, and which products it passes over.
func (d *Database) LockedAgain(ctx context.Context, locks models.Locks) (again int, kept []string, err error) {
	holds, err := d.readOverdue(ctx, overdueMax, nil)
	if err != nil {
		return 0, nil, err
	}
	later, kept, err := (&sweep{Database: d}).locked(ctx, holds, locks)
	return len(later), kept, err
}

// SetCarryIdle is how soon the server takes rows back from who carries them and froze.
func (d *Database) SetCarryIdle(idle time.Duration) { d.bounds.carryIdle = idle }

// SetQuiet bounds how long the server may be quiet, and an importer idle.
func (d *Database) SetQuiet(server, importer time.Duration) {
	d.bounds.quiet, d.bounds.importIdle = server, importer
}

// SetWriteLimit gives writes longer than writeTimeout.
func (d *Database) SetWriteLimit(wait time.Duration) { d.bounds.write = wait }

// The bounds of packs.
const (
	PackMax      = packMax
	PackMin      = packMin
	PackedWithin = packedWithin
)

// SetWindows makes each SELECT of the ledger look at fewer rows and packs.
func (d *Database) SetWindows(first, most int64) { d.windows = windows{first, most} }

// SQL is the pool; it is the only way to look into a database in memory.
func (d *Database) SQL() *sql.DB { return d.sql }

// ReservationOf is the id that the reservation of a key has or would have.
func (d *Database) ReservationOf(key string) string {
	hashes := hashesOf(d.meta.Load().secret, []models.Write{models.Reserve{IdempotencyKey: key}})
	return reservationID(hashes[0].reservation[:])
}

// Migrations are the migrations of this engine, and its goose dialect.
func (d *Database) Migrations() (dialect string, files fs.FS, err error) {
	dialect, folder := d.engine.migrations()
	files, err = fs.Sub(migrations, folder)
	return dialect, files, err
}

// Fingerprint is what is stored of a write's input, in hex digits.
func Fingerprint(w models.Write) string {
	sum := fingerprint(w)
	return hex.EncodeToString(sum[:])
}

// Remembered is how many products are remembered.
func (d *Database) Remembered() int {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	return len(d.memory.products)
}

// LongContests has what is about to change be so for as long as a test takes.
func (d *Database) LongContests() {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	d.memory.contestedFor = time.Hour
}

// WillChange announces a change, as the sweeper does.
func (d *Database) WillChange(products ...string) { d.willChange(products) }

// AuditSettings are some settings of one connection before an audit reads, while it
// does, and after that.
func (d *Database) AuditSettings(ctx context.Context) (before, during, after [2]string, err error) {
	d.sql.SetMaxOpenConns(1)
	db, cancel := d.auditing(ctx)
	defer cancel()
	const query = "SELECT current_setting('max_parallel_workers_per_gather'), current_setting('jit')"
	into := func(settings *[2]string) func(rows) error {
		return func(r rows) error { return r.Scan(&settings[0], &settings[1]) }
	}
	err = errors.Join(streamRows(db, query, nil, into(&before)), d.auditRows(db, query, nil, into(&during)), streamRows(db, query, nil, into(&after)))
	return before, during, after, err
}
