package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/counting"
	"onhand/store/database/decide/readset"
	"onhand/store/database/dialect"
)

const (
	nowSQL = "cast(unixepoch('subsec') * 1000000 AS INTEGER)"

	overdueOfSQL = `SELECT reservation_id, json_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + nowSQL + `
		AND (EXISTS (SELECT 1 FROM json_each(lines) line WHERE line.value->>'productId' IN (SELECT value FROM json_each(?)))
			OR counted AND holder IN (SELECT value FROM json_each(?)))
		ORDER BY expires_at LIMIT ?`

	reservedLinesSQL = `SELECT coalesce(sum(json_array_length(lines)), 0) FROM reservations
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?))`

	reservationsSQL = `SELECT ` + dialect.ReservationColumns + ` FROM reservations
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?))`

	// The products of a batch: those it names, and those of its reservations.
	productIDsSQL = `(SELECT value AS product_id FROM json_each(?1)
		UNION SELECT line.value->>'productId' FROM reservations, json_each(lines) line
		WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?2)))`

	levelsSQL = `SELECT ` + dialect.LevelColumns + ` FROM ` + productIDsSQL + ` i
		JOIN stock_levels l ON l.product_id = i.product_id JOIN locations c ON c.location_id = l.location_id`
	productsSQL  = `SELECT ` + dialect.ProductColumns + ` FROM ` + productIDsSQL + ` i JOIN products p ON p.product_id = i.product_id`
	keysSQL      = `SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash IN (SELECT unhex(value) FROM json_each(?))`
	locationsSQL = `SELECT location_id, name, priority, active, pickup FROM locations WHERE location_id IN (SELECT value FROM json_each(?))`
	channelsSQL  = `SELECT ` + dialect.MemberColumns + ` FROM channels c
		LEFT JOIN channel_locations m ON m.channel_id = c.channel_id WHERE c.channel_id IN (SELECT value FROM json_each(?1))
		OR c.channel_id IN (SELECT channel FROM reservations WHERE reservation_id IN (SELECT unhex(value) FROM json_each(?2)))`
	firstSQL = `SELECT c.value, l.location_id, l.name, l.priority, l.active, l.pickup FROM json_each(?) c
		JOIN locations l ON l.location_id = (SELECT x.location_id FROM locations x WHERE x.active AND (c.value = ''
			OR EXISTS (SELECT 1 FROM channel_locations m WHERE m.channel_id = c.value AND m.location_id = x.location_id))
		ORDER BY x.priority, x.location_id LIMIT 1)`
	clockSQL = `SELECT epoch, ` + nowSQL + `, EXISTS (
		SELECT 1 FROM reservations WHERE state = 'ACTIVE' AND expires_at <= ` + nowSQL + `) FROM onhand_meta`

	updateLevelSQL = `UPDATE stock_levels SET available = ?3, reserved = ?4, committed = ?5, damaged = ?6,
		quality_control = ?7, safety_stock = ?8, incoming = ?9 WHERE product_id = ?1 AND location_id = ?2`
	insertLevelSQL = `INSERT INTO stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming, available_floor)
		SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, CASE WHEN inventory_policy = 'CONTINUE' THEN -coalesce(backorder_limit, 1000000000) ELSE 0 END
		FROM products WHERE product_id = ?1`
	insertReservationSQL = `INSERT INTO reservations (` + dialect.NewReservationColumns + `, extensions, renewed_at, ordered_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)`
	updateReservationSQL = `UPDATE reservations SET state = ?2, lines = ?3, holder = ?6, order_ref = ?7, version = ?9, expires_at = ?11, counted = ?12, in_purchases = ?13, extensions = ?14, renewed_at = ?15, ordered_at = ?16 WHERE reservation_id = ?1`
	insertAnswerSQL      = `INSERT INTO idempotency_keys (key_hash, fingerprint, answer) VALUES (?, ?, ?)`
)

// The version is the one that the trigger has set.
var insertMovementSQL = `INSERT INTO stock_movements (` + dialect.MovementColumns + `, created_at)
	SELECT ` + strings.Repeat("?, ", 21) + `version, ? FROM products WHERE product_id = ?1`

// OverdueOf implements [dialect.Transaction].
func (t *transaction) OverdueOf(ctx context.Context, products, holders []string, limit int) (found []dialect.OverdueLines, err error) {
	err = queryRows(ctx, t.tx, dialect.ScanOverdueLines, func(o dialect.OverdueLines) { found = append(found, o) }, overdueOfSQL, dialect.JSONList(products), dialect.JSONList(holders), limit)
	return found, err
}

// queryRows runs one query and hands its rows to keep.
func queryRows[T any](ctx context.Context, tx *sql.Tx, scan func(dialect.Rows) (T, error), keep func(T), query string, args ...any) error {
	r, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer r.Close()
	return dialect.Each(r, scan, keep)
}

// Load implements [dialect.Transaction].
func (t *transaction) Load(ctx context.Context, w readset.ReadSet, linesMax int) (*decide.UnitOfWork, error) {
	u := decide.NewUnitOfWork()
	u.VersionPerLevel, u.Holdings.OneWriter = true, true
	products, reservations := dialect.JSONList(w.Products), jsonHex(w.Reservations)
	var (
		now   dialect.Instant
		lines int
	)
	steps := []func() error{
		func() error {
			err := t.tx.QueryRowContext(ctx, reservedLinesSQL, reservations).Scan(&lines)
			if err == nil && lines > linesMax {
				err = dialect.ErrTooLarge
			}
			return err
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanReservation, func(s *decide.StoredReservation) { u.Reservations[s.Key] = s }, reservationsSQL, jsonHex(slices.Concat(w.Reservations, w.KeyedReservations)))
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanLevel, u.AddLevel, levelsSQL, products, reservations)
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanProduct, func(p *models.Product) { u.Products[p.ProductID] = p }, productsSQL, products, reservations)
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanAnswer, u.AddAnswer, keysSQL, jsonHex(w.AnswerKeys))
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanLocation, func(l models.Location) { u.Locations[l.LocationID] = l }, locationsSQL, dialect.JSONList(w.Locations))
		},
		func() error {
			return queryRows(ctx, t.tx, dialect.ScanMember, u.AddMember, channelsSQL, dialect.JSONList(w.Channels), jsonHex(w.UpdatedReservations))
		},
		func() error {
			if len(w.First) == 0 {
				return nil
			}
			u.NoFirst(w.First)
			return queryRows(ctx, t.tx, dialect.ScanFirst, u.AddFirst, firstSQL, dialect.JSONList(w.First))
		},
		func() error { return readHoldings(ctx, t.tx, u, &w.Held) },
		func() error { return readPurchases(ctx, t.tx, u, &w.Purchases) },
		func() error { return movedSince(ctx, t.tx, w.Counts, counting.EntriesTotalMax, u.Counts.Add) },
		func() error { return t.tx.QueryRowContext(ctx, clockSQL).Scan(&u.Epoch, &now, &u.AnyOverdue) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	u.Now = now.Time
	return u, nil
}

// Save implements [dialect.Transaction].
func (t *transaction) Save(ctx context.Context, u *decide.UnitOfWork) ([]*models.Stock, error) {
	w := &writer{ctx: ctx, tx: t.tx}
	w.levels(updateLevelSQL, u.LevelsToSave(false))
	w.levels(insertLevelSQL, u.LevelsToSave(true))
	w.reservations(insertReservationSQL, u.ReservationsToSave(true))
	w.reservations(updateReservationSQL, u.ReservationsToSave(false))
	w.holdings(&u.Holdings)
	w.movements(u.Movements)
	w.records(u.Counts.Records(), dialect.Micros(u.Now))
	for _, key := range decide.BinaryKeys(u.NewAnswers) {
		stored := u.Answers[key]
		raw, _ := json.Marshal(stored.Answer) // plain structs; cannot fail
		w.exec(insertAnswerSQL, key[:], stored.Fingerprint, string(raw))
	}
	if w.err == nil {
		w.err = dialect.SaveSettings(t.db.Session(ctx, t.tx), t.db.Fragments, u.Settings)
	}
	w.exec("UPDATE onhand_writer SET active = 0")
	if w.err != nil {
		return nil, w.err
	}
	stocks, err := t.readBack(ctx, u.PublishedProducts())
	if err != nil {
		return nil, err
	}
	return stocks, t.tx.Commit()
}

func (t *transaction) readBack(ctx context.Context, touched []string) ([]*models.Stock, error) {
	if len(touched) == 0 {
		return nil, nil
	}
	r, err := t.tx.QueryContext(ctx, dialect.StockSelect(&fragments), dialect.JSONList(touched))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	stocks, _, err := dialect.CollectStocks(r)
	return stocks, err
}

// writer runs statements until one fails.
type writer struct {
	ctx context.Context
	tx  *sql.Tx
	err error
}

func (w *writer) exec(query string, args ...any) {
	if w.err == nil {
		_, w.err = w.tx.ExecContext(w.ctx, query, args...)
	}
}

func (w *writer) levels(query string, levels []*models.Level) {
	for _, l := range levels {
		w.exec(query, l.ProductID, l.LocationID, l.Available, l.Reserved, l.Committed, l.Damaged, l.QualityControl, l.SafetyStock, l.Incoming)
	}
}

func (w *writer) reservations(query string, list []*decide.StoredReservation) {
	for _, s := range list {
		lines, _ := json.Marshal(s.Lines) // plain structs; cannot fail
		w.exec(query, s.Key[:], string(s.State), string(lines), s.Channel, s.Owner, string(s.Holder), s.Order, s.Fingerprint,
			s.Version, dialect.Micros(s.CreatedAt), dialect.Micros(s.ExpiresAt), s.Counted, s.InPurchases, s.Extensions, dialect.Micros(s.RenewedAt), dialect.MicrosOrNull(s.OrderedAt))
	}
}

func (w *writer) movements(movements []models.StockMovement) {
	for _, m := range movements {
		d, a := m.Delta, m.After
		w.exec(insertMovementSQL, m.ProductID, m.LocationID,
			d.Available, d.Reserved, d.Committed, d.Damaged, d.QualityControl, d.SafetyStock, d.Incoming,
			a.Available, a.Reserved, a.Committed, a.Damaged, a.QualityControl, a.SafetyStock, a.Incoming,
			string(m.Reason), m.Note, m.Reference, m.Actor, movementKey(m), dialect.Micros(m.CreatedAt))
	}
}

// movementKey is the key of the movement's reservation, null where there is none. A nil slice
// would be an empty blob.
func movementKey(m models.StockMovement) any {
	if key, ok := decide.ReservationKey(m.ReservationID); ok {
		return key[:]
	}
	return nil
}

func jsonHex(keys [][16]byte) string {
	digits := make([]string, len(keys))
	for i := range keys {
		digits[i] = hex.EncodeToString(keys[i][:])
	}
	return dialect.JSONList(digits)
}
