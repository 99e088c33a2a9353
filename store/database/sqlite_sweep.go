package database

import (
	"context"
	"fmt"
)

const (
	sqliteOverdue = `SELECT reservation_id, (SELECT json_group_array(line.value->>'productId') FROM json_each(lines) line) FROM (
			SELECT reservation_id, lines,
				sum(json_array_length(lines)) OVER (ORDER BY expires_at ROWS UNBOUNDED PRECEDING) - json_array_length(lines) AS lines_before
			FROM (SELECT reservation_id, lines, expires_at FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + sqliteNow + `
				ORDER BY expires_at LIMIT ?)
		) WHERE lines_before < ?`

	sqliteExpire = `UPDATE reservations SET state = 'EXPIRED', version = version + 1
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?)) AND state = 'ACTIVE' AND expires_at <= ` + sqliteNow + `
		RETURNING ` + reservationColumns

	sqliteEpoch = `SELECT epoch, ` + sqliteNow + ` FROM onhand_meta`
)

// overdue: nothing is left out, for there are no row locks here.
func (e *sqliteEngine) overdue(ctx context.Context, limit, linesMax int, _ []string) (holds []overdueHold, err error) {
	r, err := e.sql.QueryContext(ctx, sqliteOverdue, limit, linesMax)
	if busy(err) {
		err = fmt.Errorf("%w: %w", errRetry, err)
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = each(r, scanOverdueHold, func(h overdueHold) { holds = append(holds, h) })
	return holds, err
}

func (t *sqliteTx) expire(ctx context.Context, holds [][16]byte, products []string) (*view, error) {
	v := newView()
	err := query1(ctx, t.tx, scanReservation, func(s *storedReservation) { v.held[s.key] = s }, sqliteExpire, jsonHex(holds))
	if err == nil {
		err = query1(ctx, t.tx, scanLevel, v.addLevel, sqliteLevels, jsonList(products), "[]")
	}
	if err == nil {
		var now instant
		err = t.tx.QueryRowContext(ctx, sqliteEpoch).Scan(&v.epoch, &now)
		v.now = now.Time
	}
	return v, err
}
