package sqlite

import (
	"context"
	"database/sql"
	"math"
	"strings"
	"time"

	"onhand/models"
	"onhand/store/database/decide/counting"
	"onhand/store/database/dialect"
	"onhand/store/database/importer"
)

const (
	// A product's ledger, backwards. expires_at is that of the reservation which a movement
	// ends as expired.
	backwardsSQL = `SELECT m.location_id, m.available_delta, m.reserved_delta, m.committed_delta, m.damaged_delta, m.quality_control_delta, m.safety_stock_delta, m.incoming_delta,
		m.reason, m.created_at, CASE WHEN m.reason = 'EXPIRED' THEN (SELECT r.expires_at FROM reservations r WHERE r.reservation_id = m.reservation_id) END
		FROM stock_movements m WHERE m.product_id = ? ORDER BY m.movement_id DESC LIMIT ?`

	recordsSQL = `SELECT state, max(counted_at), coalesce(sum(CASE WHEN written_at > ?3 THEN correction END), 0) FROM stock_counts
		WHERE product_id = ?1 AND location_id = ?2 GROUP BY state`

	deleteCountSQL = `DELETE FROM stock_counts WHERE product_id = ? AND location_id = ? AND state = ? AND written_at <= ?`
	insertCountSQL = `INSERT INTO stock_counts (product_id, location_id, state, counted_at, written_at, correction) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET counted_at = max(counted_at, excluded.counted_at), correction = correction + excluded.correction`
)

// queryer is a transaction, or a connection in one.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// entry is a movement of one level.
type entry struct {
	location string
	delta    models.Quantities
	reason   models.Reason
	at       dialect.Instant
	expiry   dialect.Instant // zero for none
}

func scanEntry(r dialect.Rows) (e entry, err error) {
	d := &e.delta
	err = r.Scan(&e.location, &d.Available, &d.Reserved, &d.Committed, &d.Damaged, &d.QualityControl, &d.SafetyStock, &d.Incoming, &e.reason, &e.at, &e.expiry)
	return e, err
}

// movedSince does what onhand_moved_since of Postgres does. It calls keep for each level.
func movedSince(ctx context.Context, tx queryer, refs []counting.Ref, totalMax int, keep func(*counting.Basis)) error {
	for _, ref := range refs {
		basis := &counting.Basis{Ref: ref}
		most := min(counting.EntriesMax, max(totalMax, 0))
		if err := readBackwards(ctx, tx, basis, most); err != nil {
			return err
		}
		if err := readRecords(ctx, tx, basis); err != nil {
			return err
		}
		basis.Complete = basis.Entries <= most
		totalMax -= basis.Entries
		keep(basis)
	}
	return nil
}

func readBackwards(ctx context.Context, tx queryer, b *counting.Basis, most int) error {
	r, err := tx.QueryContext(ctx, backwardsSQL, b.Product, most+1+counting.ClockStepEntriesMax)
	if err != nil {
		return err
	}
	defer r.Close()
	for before := 0; r.Next(); {
		e, err := scanEntry(r)
		if err != nil {
			return err
		}
		if !e.at.After(b.At) {
			if before++; before > counting.ClockStepEntriesMax || !e.at.After(b.At.Add(-counting.ClockStepMax)) {
				return nil
			}
			continue
		}
		if b.Entries++; b.Entries > most {
			return nil
		}
		late := !e.expiry.IsZero() && !e.expiry.After(b.At) // the units were available before
		if e.location != b.Location || late {
			continue
		}
		b.Since = b.Since.Plus(e.delta)
		for _, s := range models.Settable {
			if newest := b.Newest.Of(s); e.reason == models.ReasonImport && *e.delta.Of(s) != 0 && e.at.After(*newest) {
				*newest = e.at.Time
			}
		}
	}
	return r.Err()
}

// readRecords subtracts the corrections of counts.
func readRecords(ctx context.Context, tx queryer, b *counting.Basis) error {
	r, err := tx.QueryContext(ctx, recordsSQL, b.Product, b.Location, dialect.Micros(b.At))
	if err != nil {
		return err
	}
	defer r.Close()
	for r.Next() {
		var (
			state      models.State
			at         dialect.Instant
			correction int
		)
		if err := r.Scan(&state, &at, &correction); err != nil {
			return err
		}
		*b.Since.Of(state) -= correction
		if newest := b.Newest.Of(state); at.After(*newest) {
			*newest = at.Time
		}
	}
	return r.Err()
}

// records writes the counts of a batch.
func (w *writer) records(list []*counting.WrittenCount, now int64) {
	for _, r := range list {
		at := dialect.Micros(r.CountedAt)
		w.exec(deleteCountSQL, r.Product, r.Location, string(r.State), at)
		w.exec(insertCountSQL, r.Product, r.Location, string(r.State), at, now, r.Correction)
	}
}

const importMomentsSQL = `CREATE TEMP TABLE import_moments AS SELECT DISTINCT product_id, location_id, counted_at FROM import_rows WHERE counted_at IS NOT NULL AND problem = ''`

// importMomentsMax is how many levels are read at once.
const importMomentsMax = 1000

// ReadCounts implements [importer.ImportEngine].
func (e *Engine) ReadCounts(ctx context.Context, conn *sql.Conn, alive func()) error {
	for _, query := range []string{"DROP TABLE IF EXISTS temp.import_moments", importMomentsSQL} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return err
		}
	}
	for last := int64(0); ; last += importMomentsMax {
		alive()
		refs, err := importMoments(ctx, conn, last)
		if err != nil || len(refs) == 0 {
			return err
		}
		var found []*counting.Basis
		if err := movedSince(ctx, conn, refs, math.MaxInt, func(b *counting.Basis) { found = append(found, b) }); err != nil {
			return err
		}
		for _, b := range found {
			n := b.Newest
			complete := 0
			if b.Complete {
				complete = 1
			}
			if _, err := conn.ExecContext(ctx, "INSERT INTO import_counts ("+importer.CountColumns+") VALUES (?"+strings.Repeat(", ?", 14)+")",
				b.Product, b.Location, dialect.Micros(b.At), b.Since.Available, b.Since.Damaged, b.Since.QualityControl, b.Since.SafetyStock, b.Since.Incoming, b.Since.OnHand(),
				microsIf(n.Available), microsIf(n.Damaged), microsIf(n.QualityControl), microsIf(n.SafetyStock), microsIf(n.Incoming), complete); err != nil {
				return err
			}
		}
	}
}

// importMoments reads the next levels.
func importMoments(ctx context.Context, conn *sql.Conn, last int64) (refs []counting.Ref, err error) {
	r, err := conn.QueryContext(ctx, "SELECT product_id, location_id, counted_at FROM import_moments WHERE rowid > ? AND rowid <= ?", last, last+importMomentsMax)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = dialect.Each(r, func(r dialect.Rows) (ref counting.Ref, err error) {
		var at dialect.Instant
		err = r.Scan(&ref.Product, &ref.Location, &at)
		ref.At = at.Time
		return ref, err
	}, func(ref counting.Ref) { refs = append(refs, ref) })
	return refs, err
}

// microsIf is a time as it is stored; nil for none.
func microsIf(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return dialect.Micros(t)
}
