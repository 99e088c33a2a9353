package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/postgres/holdersql"
)

const (
	overdueSQL = `SELECT reservation_id, holder, products FROM (
			SELECT reservation_id, holder, products,
				sum(jsonb_array_length(products)) OVER (ORDER BY expires_at ROWS UNBOUNDED PRECEDING) - jsonb_array_length(products) AS lines_before
			FROM (SELECT reservation_id, ` + dialect.CountedHolder + `, jsonb_path_query_array(lines::jsonb, '$[*].productId') AS products, expires_at
				FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
				AND (cardinality($1::text[]) = 0 OR NOT jsonb_path_query_array(lines::jsonb, '$[*].productId') ?| $1)
				ORDER BY expires_at LIMIT $2) oldest
		) counted WHERE lines_before < $3`

	// Finds the locked rows by ctid, which is cheaper than a second look-up by id. Only
	// state and version change.
	expireSQL = `UPDATE reservations SET state = 'EXPIRED', version = version + 1 WHERE ctid = ANY (ARRAY(
			SELECT ctid FROM reservations WHERE reservation_id = ANY ($1) AND state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
			FOR UPDATE SKIP LOCKED))
		RETURNING ` + dialect.ReservationColumns

	momentSQL = `SELECT epoch, directory_version, clock_timestamp() FROM onhand_meta`
)

// Overdue implements [dialect.Engine].
func (e *Engine) Overdue(ctx context.Context, limit, linesMax int, without []string) (found []dialect.OverdueReservation, err error) {
	err = e.rolledBack(ctx, func(b *pgx.Batch) {
		b.Queue(overdueSQL, append([]string{}, without...), limit, linesMax).Query(func(r pgx.Rows) error {
			found = found[:0]
			return dialect.Each(r, dialect.ScanOverdue, func(o dialect.OverdueReservation) { found = append(found, o) })
		})
	})
	return found, err
}

// Expire implements [dialect.Transaction].
func (t *transaction) Expire(ctx context.Context, reservations [][16]byte, products, holders []string) (*decide.UnitOfWork, error) {
	u := decide.NewUnitOfWork()
	err := t.pipeline(ctx, func(b *pgx.Batch) {
		holdersql.QueueHolders(b, &u.Holdings, holders)
		b.Queue(expireSQL, byteSlices(reservations)).Query(func(r pgx.Rows) error {
			return dialect.Each(r, dialect.ScanReservation, func(s *decide.StoredReservation) { u.Reservations[s.Key] = s })
		})
		b.Queue(lockSQL, products).Query(func(r pgx.Rows) error {
			return dialect.Each(r, scanLocked(new(int)), u.AddProduct) // a level that was made meanwhile is not changed
		})
		b.Queue(levelsSQL, products).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanLevel, u.AddLevel) })
		b.Queue(momentSQL).QueryRow(scanMoment(u))
	})
	return u, err
}

// scanMoment scans the epoch, the version of the directory, and the time.
func scanMoment(u *decide.UnitOfWork) func(pgx.Row) error {
	return func(r pgx.Row) error {
		var now dialect.Instant
		defer func() { u.Now = now.Time }()
		return r.Scan(&u.Epoch, &u.Directory, &now)
	}
}
