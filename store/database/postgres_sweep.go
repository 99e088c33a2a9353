package database

import (
	"context"

	"github.com/jackc/pgx/v5"
)

const (
	postgresOverdue = `SELECT reservation_id, products FROM (
			SELECT reservation_id, products,
				sum(jsonb_array_length(products)) OVER (ORDER BY expires_at ROWS UNBOUNDED PRECEDING) - jsonb_array_length(products) AS lines_before
			FROM (SELECT reservation_id, jsonb_path_query_array(lines::jsonb, '$[*].productId') AS products, expires_at
				FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
				AND (cardinality($1::text[]) = 0 OR NOT jsonb_path_query_array(lines::jsonb, '$[*].productId') ?| $1)
				ORDER BY expires_at LIMIT $2) oldest
		) counted WHERE lines_before < $3`

	// Found by where the locked rows are, which is cheaper than by their ids once
	// more. Nothing but state and version changes.
	postgresExpire = `UPDATE reservations SET state = 'EXPIRED', version = version + 1 WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM reservations WHERE reservation_id = ANY ($1) AND state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
			FOR UPDATE SKIP LOCKED))
		RETURNING ` + reservationColumns

	postgresMoment = `SELECT epoch, directory_version, clock_timestamp() FROM onhand_meta`
)

func (e *postgresEngine) overdue(ctx context.Context, limit, linesMax int, without []string) (holds []overdueHold, err error) {
	err = e.once(ctx, func(b *pgx.Batch) {
		b.Queue(postgresOverdue, append([]string{}, without...), limit, linesMax).Query(func(r pgx.Rows) error {
			holds = holds[:0]
			return each(r, scanOverdueHold, func(h overdueHold) { holds = append(holds, h) })
		})
	})
	return holds, err
}

func (t *postgresTx) expire(ctx context.Context, holds [][16]byte, products []string) (*view, error) {
	v := newView()
	err := t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(postgresExpire, byteSlices(holds)).Query(func(r pgx.Rows) error {
			return each(r, scanReservation, func(s *storedReservation) { v.held[s.key] = s })
		})
		b.Queue(postgresLock, products).Query(func(r pgx.Rows) error {
			return each(r, scanShaped, v.addShaped)
		})
		b.Queue(postgresLevels, products).Query(func(r pgx.Rows) error { return each(r, scanLevel, v.addLevel) })
		b.Queue(postgresMoment).QueryRow(scanMoment(v))
	})
	return v, err
}

// scanMoment keeps the history, the version of locations and channels, and the time.
func scanMoment(v *view) func(pgx.Row) error {
	return func(r pgx.Row) error {
		var now instant
		defer func() { v.now = now.Time }()
		return r.Scan(&v.epoch, &v.directory, &now)
	}
}
