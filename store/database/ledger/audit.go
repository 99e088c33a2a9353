package ledger

import (
	"context"
	"fmt"
	"time"

	"gorm.io/gorm"

	"onhand/models"
	"onhand/store/database/dialect"
)

// AuditTimeout bounds one statement of an audit. A product may have millions of ledger rows,
// and readers block no writer.
const AuditTimeout = 2 * time.Minute

// Span is a range of products by id: after After, through Through.
type Span struct{ After, Through string }

// AuditedLevel is one level beside its ledger, consistent as of one moment: it comes from one
// statement.
type AuditedLevel struct {
	ProductID, LocationID string
	// Exists reports whether the level exists; without one Level is zero.
	Exists bool
	Level  models.Quantities
	// Movements counts the movements that were read. Last is the quantities after the last of
	// them.
	Movements int64
	Last      models.Quantities
	// Complete reports that they were all. Then Sum is the sum of all deltas.
	Complete bool
	Sum      models.Quantities
	// BrokenAt is the first movement whose quantities do not follow from its delta and the
	// movement before it, or the first of an inconsistent chunk; 0 where there is none.
	BrokenAt int64
}

// AuditLedger calls each for every level of the products in span, and for every level that
// has only movements, in the order of ids. With a window it reads only about that
// number of a product's last entries (rows or chunks); 0 means all.
func (l *Ledger) AuditLedger(ctx context.Context, span Span, window int, each func(AuditedLevel)) error {
	db, cancel := l.Auditing(ctx)
	defer cancel()
	args := []any{span.After, span.Through, span.After, span.Through}
	if window > 0 {
		args = append([]any{window - 1}, args...)
	}
	return l.AuditRows(db, ledgerAudit(l.Fragments, window > 0), args, func(r dialect.Rows) error {
		var a AuditedLevel
		into := []any{&a.ProductID, &a.LocationID, &a.Exists, &a.Movements, &a.Complete, &a.BrokenAt}
		for _, q := range []*models.Quantities{&a.Level, &a.Last, &a.Sum} {
			into = append(into, &q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming)
		}
		if err := r.Scan(into...); err != nil {
			return err
		}
		each(a)
		return nil
	})
}

// AuditedReservations is one level whose reserved or committed units differ from those of
// open reservations.
type AuditedReservations struct {
	ProductID, LocationID string
	// Reserved and Committed are the level's. ActiveUnits and OrderedUnits are the sums over
	// active and committed reservations.
	Reserved, ActiveUnits, Committed, OrderedUnits int64
}

// AuditReservations calls each for every level of the products in span that differs from
// the reservations, in the order of ids. It reads all open reservations, in one statement,
// however small the span is.
func (l *Ledger) AuditReservations(ctx context.Context, span Span, each func(AuditedReservations)) error {
	db, cancel := l.Auditing(ctx)
	defer cancel()
	args := []any{span.After, span.Through, span.After, span.Through}
	return l.AuditRows(db, reservationsAudit(l.Fragments), args, func(r dialect.Rows) error {
		var a AuditedReservations
		if err := r.Scan(&a.ProductID, &a.LocationID, &a.Reserved, &a.ActiveUnits, &a.Committed, &a.OrderedUnits); err != nil {
			return err
		}
		each(a)
		return nil
	})
}

// Auditing returns a session with the deadline of the audit. Call cancel when done.
func (l *Ledger) Auditing(ctx context.Context) (db *gorm.DB, cancel context.CancelFunc) {
	ctx, cancel = context.WithTimeout(ctx, AuditTimeout)
	return l.Gorm.WithContext(ctx), cancel
}

// AuditRows streams the rows of a query. On Postgres the query uses one core: the others are
// for buyers.
func (l *Ledger) AuditRows(db *gorm.DB, query string, args []any, each func(dialect.Rows) error) error {
	oneCore := l.Fragments.OneCore
	if oneCore == "" {
		return l.Fault(dialect.Stream(db, query, args, each))
	}
	return l.Fault(db.Transaction(func(tx *gorm.DB) error {
		if err := tx.Exec(oneCore).Error; err != nil {
			return err
		}
		return dialect.Stream(tx, query, args, each)
	}))
}

// ledgerAudit compares levels with their ledger. Its parameters are the number of entries to
// skip, where there is a window, and twice the span.
//
// A level's movements get their ids while its row is locked, so the ids of one level are in
// the order of commits.
func ledgerAudit(f *dialect.Fragments, windowed bool) string {
	from := "0"
	if windowed {
		from = `coalesce((SELECT x.movement_id FROM ` + f.LedgerEntries + ` x WHERE x.product_id = p.product_id
			ORDER BY x.movement_id DESC LIMIT 1 OFFSET ?), 0)`
	}
	return fmt.Sprintf(`WITH span AS (
		SELECT p.product_id, %s AS first_id FROM products p WHERE p.product_id > ? AND p.product_id <= ?
	), links AS (
		SELECT m.product_id, m.location_id, m.movement_id, m.size, m.sound, %s, %s, s.first_id, lag(m.movement_id) OVER w AS before_id, lead(m.movement_id) OVER w AS next_id, (%s) AS broken
		FROM span s %s
		WINDOW w AS (PARTITION BY m.product_id, m.location_id ORDER BY m.movement_id)
	), ledger AS (
		SELECT product_id, location_id, CAST(sum(size) AS bigint) AS row_count,
			min(CASE WHEN broken AND (before_id IS NOT NULL OR first_id = 0) OR NOT sound THEN movement_id END) AS broken_at, %s, %s
		FROM links GROUP BY product_id, location_id
	), levels AS (
		SELECT * FROM stock_levels WHERE product_id > ? AND product_id <= ?
	), pair AS (
		SELECT coalesce(l.product_id, g.product_id) AS product_id, coalesce(l.location_id, g.location_id) AS location_id,
			l.product_id IS NOT NULL AS found, coalesce(g.row_count, 0) AS row_count, coalesce(g.broken_at, 0) AS broken_at, %s, %s, %s
		FROM levels l FULL JOIN ledger g ON g.product_id = l.product_id AND g.location_id = l.location_id
	)
	SELECT b.product_id, b.location_id, b.found, b.row_count, s.first_id = 0, b.broken_at, %s, %s, %s
	FROM pair b JOIN span s ON s.product_id = b.product_id ORDER BY b.product_id, b.location_id`,
		from, dialect.PerState("m.$_delta", ", "), dialect.PerState("m.$_after", ", "),
		dialect.PerState("CAST(m.$_after AS bigint) - m.$_delta <> coalesce(lag(m.$_after) OVER w, 0)", " OR "), f.LedgerEntriesOf,
		dialect.PerState("max(CASE WHEN next_id IS NULL THEN $_after END) AS $_last", ", "),
		dialect.PerState("CAST(sum($_delta) AS bigint) AS $_sum", ", "),
		dialect.PerState("coalesce(l.$, 0) AS $", ", "), dialect.PerState("coalesce(g.$_last, 0) AS $_last", ", "), dialect.PerState("coalesce(g.$_sum, 0) AS $_sum", ", "),
		dialect.PerState("b.$", ", "), dialect.PerState("b.$_last", ", "), dialect.PerState("b.$_sum", ", "))
}

// reservationsAudit compares levels with open reservations. Its parameters are twice the
// span. The allocations of an order that is fulfilled or cancelled in part are used up in
// their order.
func reservationsAudit(f *dialect.Fragments) string {
	return `WITH parts AS (
		SELECT product_id, location_id, state, alike *
			CASE WHEN gone = 0 THEN quantity WHEN through <= gone THEN 0 WHEN through - gone < quantity THEN through - gone ELSE quantity END AS rest
		FROM (` + f.OpenReservations + `) p WHERE product_id > ? AND product_id <= ?
	), held AS (
		SELECT product_id, location_id, CAST(sum(CASE WHEN state = 'ACTIVE' THEN rest ELSE 0 END) AS bigint) AS held,
			CAST(sum(CASE WHEN state = 'COMMITTED' THEN rest ELSE 0 END) AS bigint) AS ordered
		FROM parts GROUP BY product_id, location_id
	), levels AS (
		SELECT * FROM stock_levels WHERE product_id > ? AND product_id <= ?
	), pair AS (
		SELECT coalesce(l.product_id, h.product_id) AS product_id, coalesce(l.location_id, h.location_id) AS location_id,
			coalesce(l.reserved, 0) AS reserved, coalesce(h.held, 0) AS held, coalesce(l.committed, 0) AS committed, coalesce(h.ordered, 0) AS ordered
		FROM levels l FULL JOIN held h ON h.product_id = l.product_id AND h.location_id = l.location_id
	)
	SELECT product_id, location_id, reserved, held, committed, ordered FROM pair
	WHERE reserved <> held OR committed <> ordered ORDER BY product_id, location_id`
}
