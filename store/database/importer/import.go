package importer

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"time"

	"onhand/models"
	"onhand/store/database/dialect"
)

// Bounds of an import.
const (
	importApplyRows    = 10_000 // levels changed by one statement
	importAttemptsMax  = 5
	importPause        = 100 * time.Millisecond
	importSweptMax     = 100_000 // expired reservations that are ended first
	importProgressRows = 1000    // rows between two calls of progress
	// importIdle is how long the server keeps levels locked for an importer that froze or is
	// gone.
	importIdle = 30 * time.Second
)

// ImportEngine is what an import needs of an engine.
type ImportEngine interface {
	// ImportTables returns the SQL that creates the tables of one import, which only this
	// connection sees, and prepares the connection.
	ImportTables() []string
	// CopyRows copies rows into import_rows until next returns io.EOF.
	CopyRows(ctx context.Context, conn *sql.Conn, next func() ([]any, error)) error
	// ImportStart and ImportEnd return the SQL around the transaction that writes; ImportLock,
	// the SQL that locks the levels to set, in the order of all locks.
	ImportStart(idle time.Duration) []string
	ImportLock() string
	ImportEnd() []string
	// ReadCounts fills the CountColumns of import_counts, once for each level and moment of
	// import_rows. It calls alive every few thousand levels.
	ReadCounts(ctx context.Context, conn *sql.Conn, alive func()) error
	// ImportTurn waits until no other write of this process is running.
	ImportTurn(ctx context.Context) (done func(), err error)
}

// Expirer ends reservations past their expiry.
type Expirer interface {
	ExpireDue(ctx context.Context, limit int) iter.Seq2[models.Outcome, error]
}

// Importer takes stock from files.
type Importer struct {
	*dialect.DB
	engine  ImportEngine
	expirer Expirer
	// Quiet is how long the database may be silent; Idle, how long it keeps rows locked for an
	// importer that froze.
	Quiet, Idle time.Duration
}

// New returns an importer.
func New(db *dialect.DB, engine ImportEngine, expirer Expirer) *Importer {
	return &Importer{DB: db, engine: engine, expirer: expirer, Quiet: dialect.SilenceMax, Idle: importIdle}
}

// Import takes the rows of a file: all that are fine, or, unless SkipBad, none. It copies
// the file once into a table of its own connection, and decides all rows in one transaction
// that begins after the last row. So a file is read without locks, a broken file changes
// nothing, and memory does not grow with the file. What changes gets ledger rows of reason
// IMPORT, a version, and outbox rows.
//
// next returns io.EOF after the last row. Import calls each for every row, in the order of
// lines, after the decision and, where something is written, after the commit. each and
// progress may be nil.
//
// Errors: the errors of next and each; UNAVAILABLE. After an error of each the import has
// taken effect; after any other error it has not.
func (d *Importer) Import(ctx context.Context, next func() (models.StockRow, error), options models.ImportOptions, each func(models.ImportedRow) error, progress models.ImportProgress) (models.ImportSummary, error) {
	if progress == nil {
		progress = func(models.ImportStage, int, int) {}
	}
	ctx, waiting, done := dialect.WithWatchdog(ctx, d.Quiet)
	defer done()
	conn, err := d.SQL.Conn(ctx)
	if err != nil {
		return models.ImportSummary{}, d.Fault(dialect.WatchdogError(ctx, err))
	}
	// The tables of the import are dropped with the connection.
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		_ = conn.Close()
	}()
	i := &run{Importer: d, conn: conn, waiting: waiting, options: options, progress: progress}
	summary, err := i.execute(ctx, next)
	if err == nil && each != nil {
		err = i.report(ctx, each)
	}
	var fileError fileError
	if errors.As(err, &fileError) {
		return models.ImportSummary{}, fileError.error
	}
	if errors.Is(dialect.MarkRetry(err), dialect.ErrLocked) {
		err = models.Unavailable("another transaction keeps stock of the file locked; try again", err)
	}
	return summary, d.Fault(dialect.WatchdogError(ctx, err))
}

// fileError marks the errors of next and each, which are not faults of the database.
type fileError struct{ error }

// run is one import.
type run struct {
	*Importer
	conn     *sql.Conn
	waiting  *dialect.Watchdog
	options  models.ImportOptions
	progress models.ImportProgress
	variants bool            // rows name variants beside SKUs
	news     bool            // there are new products or locations
	work     int             // levels to write
	counted  bool            // rows were counted earlier
	now      dialect.Instant // when the counts were decided
}

func (i *run) execute(ctx context.Context, next func() (models.StockRow, error)) (models.ImportSummary, error) {
	if err := i.exec(ctx, i.engine.ImportTables()...); err != nil {
		return models.ImportSummary{}, err
	}
	if err := i.stage(ctx, next); err != nil {
		return models.ImportSummary{}, err
	}
	i.progress(models.ImportDeciding, 0, 0)
	if i.variants {
		if err := i.exec(ctx, importVariants...); err != nil {
			return models.ImportSummary{}, err
		}
	}
	if err := i.exec(ctx, importPrepare...); err != nil {
		return models.ImportSummary{}, err
	}
	if i.options.Create && !i.options.CreateSimilar {
		if err := i.findSimilar(ctx); err != nil {
			return models.ImportSummary{}, err
		}
	}
	if i.options.DryRun {
		return i.decide(ctx)
	}
	// The units of overdue reservations are free, so they must not make a count too low.
	for range i.expirer.ExpireDue(ctx, importSweptMax) {
		continue // what is left makes a row too low, and the report says so
	}
	pause := importPause
	for attempt := 1; ; attempt++ {
		summary, err := i.attemptImport(ctx)
		if err == nil || attempt == importAttemptsMax || ctx.Err() != nil || !dialect.Survivable(err) {
			return summary, err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause *= 2
	}
}

func (i *run) exec(ctx context.Context, queries ...string) error {
	for _, query := range queries {
		i.waiting.Reset()
		if _, err := i.conn.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	return nil
}

// stage copies the file's rows into import_rows.
func (i *run) stage(ctx context.Context, next func() (models.StockRow, error)) error {
	rows := 0
	var keys *keyStager
	if i.options.Create && !i.options.CreateSimilar {
		keys = newKeyStager()
	}
	return i.engine.CopyRows(ctx, i.conn, func() ([]any, error) {
		var row models.StockRow
		err := i.waiting.Suspend(func() (err error) {
			row, err = next()
			return err
		})
		if errors.Is(err, io.EOF) {
			i.progress(models.ImportReading, rows, 0)
			return nil, io.EOF
		}
		if err != nil {
			return nil, fileError{err}
		}
		if rows++; rows%importProgressRows == 0 {
			i.progress(models.ImportReading, rows, 0)
		}
		i.variants = i.variants || row.Variant != ""
		at := countedAt(row, i.options)
		staged := stagedRow(row, i.options, keys, at)
		if at != nil {
			i.counted = true
			staged[len(staged)-1] = i.Fragments.Moment(*at)
		}
		return staged, nil
	})
}

// attemptImport decides and writes in one transaction. It commits even when nothing changes:
// the decisions are in tables of the connection, and the report reads them.
func (i *run) attemptImport(ctx context.Context) (summary models.ImportSummary, err error) {
	done, err := i.engine.ImportTurn(ctx)
	if err != nil {
		return summary, err
	}
	defer done()
	if err := i.exec(ctx, i.engine.ImportStart(i.Idle)...); err != nil {
		i.undo()
		return summary, err
	}
	defer func() {
		if err != nil {
			i.undo()
		}
	}()
	if lock := i.engine.ImportLock(); lock != "" {
		if err := i.exec(ctx, lock); err != nil {
			return summary, err
		}
	}
	if summary, err = i.decide(ctx); err != nil {
		return summary, err
	}
	if summary.Problems == 0 || i.options.SkipBad {
		if err := i.apply(ctx); err != nil {
			return summary, err
		}
		summary.Applied = true
	}
	return summary, i.exec(ctx, i.engine.ImportEnd()...)
}

func (i *run) undo() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = i.conn.ExecContext(ctx, "ROLLBACK") // else it ends with the connection
}

// decide fills import_plan, one row for each row of the file, and import_work, what to write.
func (i *run) decide(ctx context.Context) (models.ImportSummary, error) {
	summary := models.ImportSummary{Outcomes: map[models.ImportOutcome]int{}}
	if err := i.readCounts(ctx); err != nil {
		return summary, err
	}
	if err := i.exec(ctx, importPlan(i.options.Create), importWork, importWorkIndex); err != nil {
		return summary, err
	}
	r, err := i.conn.QueryContext(ctx, "SELECT outcome, count(*) FROM import_plan GROUP BY outcome")
	if err != nil {
		return summary, err
	}
	defer r.Close()
	for r.Next() {
		var outcome models.ImportOutcome
		var n int
		if err := r.Scan(&outcome, &n); err != nil {
			return summary, err
		}
		summary.Outcomes[outcome] = n
		summary.Rows += n
		if !outcome.Fine() {
			summary.Problems += n
		}
	}
	if err := r.Err(); err != nil {
		return summary, err
	}
	err = i.conn.QueryRowContext(ctx, importNews).Scan(&summary.Products, &summary.Locations, &i.work)
	i.news = summary.Products+summary.Locations > 0
	return summary, err
}

// apply writes what was decided, a few thousand levels at a time, in the order of all locks.
func (i *run) apply(ctx context.Context) error {
	if i.news {
		if err := i.exec(ctx, importNewLocations, importNewProducts); err != nil {
			return err
		}
	}
	var first int64
	if err := i.conn.QueryRowContext(ctx, "SELECT "+i.Fragments.LedgerEnd).Scan(&first); err != nil {
		return err
	}
	for from := 0; from < i.work; from += importApplyRows {
		to := min(from+importApplyRows, i.work)
		for _, step := range []struct {
			query string
			args  []any
		}{
			{importUpdate, []any{from, to}}, {importInsert, []any{from, to}}, {"INSERT INTO " + i.Fragments.LedgerRows + importMovements, []any{i.options.Reference, i.options.Note, i.options.Actor, from, to}},
		} {
			i.waiting.Reset()
			if _, err := i.conn.ExecContext(ctx, step.query, step.args...); err != nil {
				return fmt.Errorf("write levels %d to %d: %w", from+1, to, err)
			}
		}
		i.progress(models.ImportWriting, to, i.work)
	}
	return i.recordCounts(ctx, first)
}

// report calls each with the decisions, in the order of lines.
func (i *run) report(ctx context.Context, each func(models.ImportedRow) error) error {
	r, err := i.conn.QueryContext(ctx, importReport)
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		row, err := scanImported(r)
		if err != nil {
			return err
		}
		if err := i.waiting.Suspend(func() error { return each(row) }); err != nil {
			return fileError{err}
		}
	}
	return r.Err()
}
