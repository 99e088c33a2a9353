package database

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"onhand/models"
)

const (
	sqliteNow = "cast(unixepoch('subsec') * 1000000 AS INTEGER)"

	sqliteDueOf = `SELECT reservation_id, json_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + sqliteNow + `
		AND EXISTS (SELECT 1 FROM json_each(lines) line WHERE line.value->>'productId' IN (SELECT value FROM json_each(?)))
		ORDER BY expires_at LIMIT ?`

	sqliteHeldLines = `SELECT coalesce(sum(json_array_length(lines)), 0) FROM reservations
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?))`

	sqliteReservations = `SELECT ` + reservationColumns + ` FROM reservations
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?))`

	// The products of a batch: those named, and those of the lines held.
	sqliteIDs = `(SELECT value AS product_id FROM json_each(?1)
		UNION SELECT line.value->>'productId' FROM reservations, json_each(lines) line
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?2)))`

	sqliteLevels = `SELECT ` + levelColumns + ` FROM ` + sqliteIDs + ` i
		JOIN stock_levels l ON l.product_id = i.product_id JOIN locations c ON c.location_id = l.location_id`
	sqliteProducts  = `SELECT ` + productColumns + ` FROM ` + sqliteIDs + ` i JOIN products p ON p.product_id = i.product_id`
	sqliteKeys      = `SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash IN (SELECT unhex(value) FROM json_each(?))`
	sqliteLocations = `SELECT location_id, name, priority, active, pickup FROM locations WHERE location_id IN (SELECT value FROM json_each(?))`
	sqliteChannels  = `SELECT ` + memberColumns + ` FROM channels c
		LEFT JOIN channel_locations m ON m.channel_id = c.channel_id WHERE c.channel_id IN (SELECT value FROM json_each(?1))
		OR c.channel_id IN (SELECT channel FROM reservations WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?2)))`
	sqliteClock = `SELECT epoch, ` + sqliteNow + `, EXISTS (
		SELECT 1 FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + sqliteNow + `) FROM onhand_meta`

	sqliteUpdateLevel = `UPDATE stock_levels SET available = ?3, reserved = ?4, committed = ?5, damaged = ?6,
		quality_control = ?7, safety_stock = ?8, incoming = ?9 WHERE product_id = ?1 AND location_id = ?2`
	sqliteInsertLevel = `INSERT INTO stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming, available_floor)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CASE WHEN inventory_policy = 'CONTINUE' THEN -coalesce(backorder_limit, 1000000000) ELSE 0 END
		FROM products WHERE product_id = ?1`
	sqliteInsertReservation = `INSERT INTO reservations (` + reservationColumns + `) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`
	sqliteUpdateReservation = `UPDATE reservations SET state = ?2, lines = ?3, order_ref = ?6, version = ?8, expires_at = ?10 WHERE reservation_id = ?1`
	sqliteInsertAnswer      = `INSERT INTO idempotency_keys (key_hash, fingerprint, answer) VALUES (?, ?, ?)`
)

// The version is the one the trigger has just given.
var sqliteInsertMovement = `INSERT INTO stock_movements (` + movementColumns + `, created_at)
	SELECT ` + strings.Repeat("?, ", 21) + `version, ? FROM products WHERE product_id = ?1`

func (t *sqliteTx) dueOf(ctx context.Context, products []string, limit int) (holds []dueHold, err error) {
	err = query1(ctx, t.tx, scanDueHold, func(h dueHold) { holds = append(holds, h) }, sqliteDueOf, jsonList(products), limit)
	return holds, err
}

// query1 runs one query and keeps its rows.
func query1[T any](ctx context.Context, tx *sql.Tx, scan func(rows) (T, error), keep func(T), query string, args ...any) error {
	r, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	return each(r, scan, keep)
}

func (t *sqliteTx) load(ctx context.Context, w wants, linesMax int) (*view, error) {
	v := newView()
	products, reservations := jsonList(w.products), jsonHex(w.reservations)
	var (
		now  instant
		held int
	)
	steps := []func() error{
		func() error {
			err := t.tx.QueryRowContext(ctx, sqliteHeldLines, reservations).Scan(&held)
			if err == nil && held > linesMax {
				err = ErrTooLarge
			}
			return err
		},
		func() error {
			return query1(ctx, t.tx, scanReservation, func(s *storedReservation) { v.held[s.key] = s }, sqliteReservations, jsonHex(slices.Concat(w.reservations, w.keyed)))
		},
		func() error { return query1(ctx, t.tx, scanLevel, v.addLevel, sqliteLevels, products, reservations) },
		func() error {
			return query1(ctx, t.tx, scanProduct, func(p *models.Product) { v.products[p.ProductID] = p }, sqliteProducts, products, reservations)
		},
		func() error { return query1(ctx, t.tx, scanAnswer, v.addAnswer, sqliteKeys, jsonHex(w.keys)) },
		func() error {
			return query1(ctx, t.tx, scanLocation, func(l models.Location) { v.locations[l.LocationID] = l }, sqliteLocations, jsonList(w.locations))
		},
		func() error {
			return query1(ctx, t.tx, scanMember, v.addMember, sqliteChannels, jsonList(w.channels), jsonHex(w.updated))
		},
		func() error { return t.tx.QueryRowContext(ctx, sqliteClock).Scan(&v.epoch, &now, &v.anyDue) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	v.now = now.Time
	return v, nil
}

func (t *sqliteTx) save(ctx context.Context, v *view) ([]*models.Stock, error) {
	w := &sqliteWriter{ctx: ctx, tx: t.tx}
	w.levels(sqliteUpdateLevel, v.dirtyLevels(false))
	w.levels(sqliteInsertLevel, v.dirtyLevels(true))
	w.reservations(sqliteInsertReservation, v.reservations(true))
	w.reservations(sqliteUpdateReservation, v.reservations(false))
	w.movements(v.movements)
	for _, key := range binaryKeys(v.answered) {
		kept := v.answers[key]
		raw, _ := json.Marshal(kept.answer) // plain structs; cannot fail
		w.exec(sqliteInsertAnswer, key[:], kept.fingerprint, string(raw))
	}
	w.settings(v.settings)
	w.exec("UPDATE onhand_writer SET active = 0")
	if w.err != nil {
		return nil, w.err
	}
	stocks, err := t.readBack(ctx, v.told())
	if err != nil {
		return nil, err
	}
	return stocks, t.tx.Commit()
}

func (t *sqliteTx) readBack(ctx context.Context, touched []string) ([]*models.Stock, error) {
	if len(touched) == 0 {
		return nil, nil
	}
	r, err := t.tx.QueryContext(ctx, stockSelect(&sqliteFragments), jsonList(touched))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	stocks, _, err := collectStocks(r)
	return stocks, err
}

// sqliteWriter runs statements until one fails.
type sqliteWriter struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (w *sqliteWriter) exec(query string, args ...any) {
	if w.err == nil {
		_, w.err = w.tx.ExecContext(w.ctx, query, args...)
	}
}

func (w *sqliteWriter) levels(query string, levels []*models.Level) {
	for _, l := range levels {
		w.exec(query, l.ProductID, l.LocationID, l.Available, l.Reserved, l.Committed, l.Damaged, l.QualityControl, l.SafetyStock, l.Incoming)
	}
}

func (w *sqliteWriter) reservations(query string, list []*storedReservation) {
	for _, s := range list {
		lines, _ := json.Marshal(s.Lines) // plain structs; cannot fail
		w.exec(query, s.key[:], string(s.State), string(lines), s.Channel, s.Owner, s.Order, s.fingerprint,
			s.Version, micros(s.CreatedAt), micros(s.ExpiresAt))
	}
}

func (w *sqliteWriter) movements(movements []models.StockMovement) {
	for _, m := range movements {
		d, a := m.Delta, m.After
		w.exec(sqliteInsertMovement, m.ProductID, m.LocationID,
			d.Available, d.Reserved, d.Committed, d.Damaged, d.QualityControl, d.SafetyStock, d.Incoming,
			a.Available, a.Reserved, a.Committed, a.Damaged, a.QualityControl, a.SafetyStock, a.Incoming,
			string(m.Reason), m.Note, m.Reference, m.Actor, movementKey(m), micros(m.CreatedAt))
	}
}

// movementKey is the reservation's key, null where there was none (which a nil
// slice is not).
func movementKey(m models.StockMovement) any {
	if key, ok := reservationKey(m.ReservationID); ok {
		return key[:]
	}
	return nil
}

func jsonHex(keys [][16]byte) string {
	digits := make([]string, len(keys))
	for i := range keys {
		digits[i] = hex.EncodeToString(keys[i][:])
	}
	return jsonList(digits)
}
