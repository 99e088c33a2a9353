package sqlite

import (
	"context"
	"fmt"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

const (
	overdueSQL = `SELECT reservation_id, holder, (SELECT json_group_array(line.value->>'productId') FROM json_each(lines) line) FROM (
			SELECT reservation_id, ` + dialect.CountedHolder + `, lines,
				sum(json_array_length(lines)) OVER (ORDER BY expires_at ROWS UNBOUNDED PRECEDING) - json_array_length(lines) AS lines_before
			FROM (SELECT reservation_id, counted, holder, lines, expires_at FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + nowSQL + `
				ORDER BY expires_at LIMIT ?)
		) WHERE lines_before < ?`

	expireSQL = `UPDATE reservations SET state = 'EXPIRED', version = version + 1
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?)) AND state = 'ACTIVE' AND expires_at <= ` + nowSQL + `
		RETURNING ` + dialect.ReservationColumns

	epochSQL = `SELECT epoch, ` + nowSQL + ` FROM onhand_meta`
)

// Overdue implements [dialect.Engine]. SQLite has no row locks, so nothing is left out.
func (e *Engine) Overdue(ctx context.Context, limit, linesMax int, _ []string) (found []dialect.OverdueReservation, err error) {
	r, err := e.sql.QueryContext(ctx, overdueSQL, limit, linesMax)
	if dialect.Busy(err) {
		err = fmt.Errorf("%w: %w", dialect.ErrRetry, err)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = dialect.Each(r, dialect.ScanOverdue, func(o dialect.OverdueReservation) { found = append(found, o) })
	return found, err
}

// Expire implements [dialect.Transaction].
func (t *transaction) Expire(ctx context.Context, reservations [][16]byte, products, _ []string) (*decide.UnitOfWork, error) {
	u := decide.NewUnitOfWork()
	u.Holdings.OneWriter = true
	err := queryRows(ctx, t.tx, dialect.ScanReservation, func(s *decide.StoredReservation) { u.Reservations[s.Key] = s }, expireSQL, jsonHex(reservations))
	if err == nil {
		err = queryRows(ctx, t.tx, dialect.ScanLevel, u.AddLevel, levelsSQL, dialect.JSONList(products), "[]")
	}
	if err == nil {
		var now dialect.Instant
		err = t.tx.QueryRowContext(ctx, epochSQL).Scan(&u.Epoch, &now)
		u.Now = now.Time
	}
	return u, err
}
