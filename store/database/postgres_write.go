package database

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/models"
)

const (
	postgresDue = `SELECT reservation_id, jsonb_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
		AND (cardinality($2::text[]) = 0 OR NOT EXISTS (
			SELECT 1 FROM jsonb_array_elements(lines) line WHERE line->>'productId' = ANY ($2)))
		ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED`

	postgresDueOf = `SELECT reservation_id, jsonb_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
		AND EXISTS (SELECT 1 FROM jsonb_array_elements(lines) line WHERE line->>'productId' = ANY ($1))
		ORDER BY expires_at LIMIT $2`

	postgresReservations = `SELECT ` + reservationColumns + ` FROM reservations
		WHERE reservation_id = ANY ($1) ORDER BY reservation_id FOR UPDATE`

	// Not locked: what a key made before is only told again.
	postgresKeyed = `SELECT ` + reservationColumns + ` FROM reservations WHERE reservation_id = ANY ($1)`

	// Without reservations the planner is spared the union.
	postgresLevels = `SELECT ` + levelColumns + ` FROM stock_levels l JOIN locations c USING (location_id)
		WHERE l.product_id = ANY ($1) ORDER BY l.product_id, l.location_id ` + levelLock

	postgresHeldIDs = `(SELECT unnest($1::text[]) COLLATE "C" AS product_id
		UNION SELECT line->>'productId' FROM reservations, jsonb_array_elements(lines) line WHERE reservation_id = ANY ($2))`

	// Uncorrelated: counted once. A batch that is too large reads no levels.
	postgresHeldLines = `(SELECT coalesce(sum(jsonb_array_length(lines)), 0) FROM reservations WHERE reservation_id = ANY ($2))`

	postgresHeldLevels = `SELECT ` + levelColumns + ` FROM ` + postgresHeldIDs + ` i
		JOIN stock_levels l ON l.product_id = i.product_id JOIN locations c USING (location_id)
		WHERE ` + postgresHeldLines + ` <= $3::bigint
		ORDER BY l.product_id, l.location_id ` + levelLock

	postgresProducts     = `SELECT ` + productColumns + ` FROM products p WHERE p.product_id = ANY ($1)`
	postgresHeldProducts = `SELECT ` + productColumns + ` FROM ` + postgresHeldIDs + ` i JOIN products p ON p.product_id = i.product_id
		WHERE ` + postgresHeldLines + ` <= $3::bigint`

	postgresKeys      = `SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash = ANY ($1)`
	postgresLocations = `SELECT location_id, name, priority, active, pickup FROM locations WHERE location_id = ANY ($1)`
	postgresChannels  = `SELECT ` + memberColumns + ` FROM channels c LEFT JOIN channel_locations m USING (channel_id)
		WHERE c.channel_id = ANY ($1) OR c.channel_id IN (SELECT channel FROM reservations WHERE reservation_id = ANY ($2))`

	// Sent last, so that the clock is read with every lock in hand. The smallest
	// end of a hold is one step into its index; EXISTS would read all holds.
	postgresClock = `SELECT epoch, clock_timestamp(), coalesce((
		SELECT min(expires_at) FROM reservations WHERE state = 'ACTIVE') <= clock_timestamp(), false) FROM onhand_meta`
)

func (t *postgresTx) due(ctx context.Context, limit int, without []string) ([]dueHold, error) {
	return t.holds(ctx, postgresDue, limit, append([]string{}, without...))
}

func (t *postgresTx) dueOf(ctx context.Context, products []string, limit int) ([]dueHold, error) {
	return t.holds(ctx, postgresDueOf, products, limit)
}

func (t *postgresTx) holds(ctx context.Context, query string, args ...any) (holds []dueHold, err error) {
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(query, args...).Query(func(r pgx.Rows) error {
			return each(r, scanDueHold, func(h dueHold) { holds = append(holds, h) })
		})
	})
	return holds, err
}

func scanDueHold(r rows) (h dueHold, err error) {
	var key []byte
	err = r.Scan(&key, &h.lines)
	h.id = reservationID(key)
	return h, err
}

func (t *postgresTx) load(ctx context.Context, w wants, linesMax int) (*view, error) {
	v, heldLines := newView(), 0
	err := t.pipeline(ctx, func(b *pgx.Batch) {
		if w.settings {
			b.Queue(postgresSettingsLock)
		}
		levels, products, args := postgresLevels, postgresProducts, []any{w.products}
		if len(w.reservations) > 0 {
			b.Queue(postgresReservations, byteSlices(w.reservations)).Query(func(r pgx.Rows) error {
				return each(r, scanReservation, func(s *storedReservation) {
					v.held[s.key] = s
					heldLines += len(s.Lines)
				})
			})
			levels, products, args = postgresHeldLevels, postgresHeldProducts, []any{w.products, byteSlices(w.reservations), linesMax}
		}
		locations, channels := postgresLocations, postgresChannels
		if w.settings { // what a row leaves out stays as it is, whoever else is writing
			products += " ORDER BY p.product_id FOR NO KEY UPDATE OF p"
			locations += " ORDER BY location_id FOR NO KEY UPDATE"
			channels += " ORDER BY c.channel_id FOR NO KEY UPDATE OF c"
		}
		b.Queue(levels, args...).Query(func(r pgx.Rows) error { return each(r, scanLevel, v.addLevel) })
		b.Queue(products, args...).Query(func(r pgx.Rows) error {
			return each(r, scanProduct, func(p *models.Product) { v.products[p.ProductID] = p })
		})
		if len(w.keys) > 0 {
			b.Queue(postgresKeys, byteSlices(w.keys)).Query(func(r pgx.Rows) error { return each(r, scanAnswer, v.addAnswer) })
		}
		if len(w.locations) > 0 {
			b.Queue(locations, w.locations).Query(func(r pgx.Rows) error {
				return each(r, scanLocation, func(l models.Location) { v.locations[l.LocationID] = l })
			})
		}
		if len(w.channels)+len(w.updated) > 0 {
			b.Queue(channels, w.channels, byteSlices(w.updated)).Query(func(r pgx.Rows) error { return each(r, scanMember, v.addMember) })
		}
		if len(w.keyed) > 0 { // after the levels: who made one with the same key had them locked
			b.Queue(postgresKeyed, byteSlices(w.keyed)).Query(func(r pgx.Rows) error {
				return each(r, scanReservation, func(s *storedReservation) {
					if v.held[s.key] == nil {
						v.held[s.key] = s
					}
				})
			})
		}
		b.Queue(postgresClock).QueryRow(func(r pgx.Row) error {
			var now instant
			defer func() { v.now = now.Time }()
			return r.Scan(&v.epoch, &now, &v.anyDue)
		})
	})
	if err == nil && heldLines > linesMax {
		err = ErrTooLarge
	}
	return v, err
}

func (t *postgresTx) save(ctx context.Context, v *view) (stocks []*models.Stock, err error) {
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		queueLevels(b, postgresUpdateLevels, v.dirtyLevels(false))
		queueLevels(b, postgresInsertLevels, v.dirtyLevels(true))
		queueReservations(b, postgresInsertReservations, v.reservations(true))
		queueReservations(b, postgresUpdateReservations, v.reservations(false))
		queueMovements(b, v.movements)
		queueAnswers(b, v)
		queueSettings(b, v.settings)
		if touched := v.touched(); len(touched) > 0 {
			b.Queue(postgresReadBack, jsonList(touched)).Query(func(r pgx.Rows) (err error) {
				stocks, _, err = collectStocks(r)
				return err
			})
		}
		b.Queue("COMMIT")
	})
	return stocks, err
}

// postgresReadBack reads what was written with the versions the trigger gave,
// while the rows are still locked.
var postgresReadBack = strings.ReplaceAll(stockSelect(&postgresEngine{}), "?::json", "$1::json")

const (
	levelArrays = `unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[])
		AS v(product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming)`

	postgresUpdateLevels = `UPDATE stock_levels l SET available = v.available, reserved = v.reserved, committed = v.committed,
		damaged = v.damaged, quality_control = v.quality_control, safety_stock = v.safety_stock, incoming = v.incoming
		FROM ` + levelArrays + ` WHERE l.product_id = v.product_id AND l.location_id = v.location_id`

	postgresInsertLevels = `INSERT INTO stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming)
		SELECT * FROM ` + levelArrays

	reservationArrays = `unnest($1::bytea[], $2::text[], $3::jsonb[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bigint[], $9::timestamptz[], $10::timestamptz[])
		AS v(reservation_id, state, lines, channel, owner_ref, order_ref, fingerprint, version, created_at, expires_at)`

	postgresInsertReservations = `INSERT INTO reservations (` + reservationColumns + `) SELECT * FROM ` + reservationArrays

	postgresUpdateReservations = `UPDATE reservations r SET state = v.state, lines = v.lines, order_ref = v.order_ref,
		version = v.version, expires_at = v.expires_at FROM ` + reservationArrays + ` WHERE r.reservation_id = v.reservation_id`

	movementColumns = `product_id, location_id,
		available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
		available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
		reason, note, reference, actor, reservation_id, created_at`

	// The version is the one the trigger has just given. The ledger is in the
	// order in which things were decided, whatever way the join goes.
	postgresInsertMovements = `INSERT INTO stock_movements (` + movementColumns + `, version)
		SELECT ` + movementColumns + `, version FROM unnest($1::text[], $2::text[],
			$3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[],
			$10::int[], $11::int[], $12::int[], $13::int[], $14::int[], $15::int[], $16::int[],
			$17::text[], $18::text[], $19::text[], $20::text[], $21::bytea[], $22::timestamptz[])
		WITH ORDINALITY AS v(` + movementColumns + `, position) JOIN products USING (product_id) ORDER BY position`

	postgresInsertAnswers = `INSERT INTO idempotency_keys (key_hash, fingerprint, answer)
		SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::jsonb[])`
)

func queueLevels(b *pgx.Batch, query string, levels []*models.Level) {
	if len(levels) == 0 {
		return
	}
	n := len(levels)
	products, locations := make([]string, n), make([]string, n)
	q := newQuantityColumns(n)
	for i, l := range levels {
		products[i], locations[i] = l.ProductID, l.LocationID
		q.set(i, l.Quantities)
	}
	b.Queue(query, append([]any{products, locations}, q.args()...)...)
}

// quantityColumns are one array a state.
type quantityColumns [7][]int32

func newQuantityColumns(n int) (q quantityColumns) {
	all := make([]int32, 7*n)
	for i := range q {
		q[i] = all[i*n : (i+1)*n : (i+1)*n]
	}
	return q
}

func (c *quantityColumns) set(i int, q models.Quantities) {
	c[0][i], c[1][i], c[2][i], c[3][i] = int32(q.Available), int32(q.Reserved), int32(q.Committed), int32(q.Damaged)
	c[4][i], c[5][i], c[6][i] = int32(q.QualityControl), int32(q.SafetyStock), int32(q.Incoming)
}

func (c *quantityColumns) args() []any { return []any{c[0], c[1], c[2], c[3], c[4], c[5], c[6]} }

func queueReservations(b *pgx.Batch, query string, list []*storedReservation) {
	if len(list) == 0 {
		return
	}
	n := len(list)
	keys, prints := make([][]byte, n), make([][]byte, n)
	texts := make([]string, 5*n)
	states, lines, channels, owners, orders := texts[:n], texts[n:2*n], texts[2*n:3*n], texts[3*n:4*n], texts[4*n:]
	versions, created, expires := make([]int64, n), make([]time.Time, n), make([]time.Time, n)
	for i, s := range list {
		raw, _ := json.Marshal(s.Lines) // plain structs; cannot fail
		lines[i] = string(raw)
		keys[i], prints[i], states[i], channels[i], owners[i], orders[i] = s.key[:], s.fingerprint, string(s.State), s.Channel, s.Owner, s.Order
		versions[i], created[i], expires[i] = s.Version, s.CreatedAt, s.ExpiresAt
	}
	b.Queue(query, keys, states, lines, channels, owners, orders, prints, versions, created, expires)
}

func queueMovements(b *pgx.Batch, movements []models.StockMovement) {
	if len(movements) == 0 {
		return
	}
	n := len(movements)
	texts := make([]string, 6*n)
	products, locations, reasons := texts[:n], texts[n:2*n], texts[2*n:3*n]
	notes, references, actors := texts[3*n:4*n], texts[4*n:5*n], texts[5*n:]
	reservations, created := make([][]byte, n), make([]time.Time, n)
	deltas, afters := newQuantityColumns(n), newQuantityColumns(n)
	for i, m := range movements {
		products[i], locations[i], reasons[i] = m.ProductID, m.LocationID, string(m.Reason)
		notes[i], references[i], actors[i] = m.Note, m.Reference, m.Actor
		if key, ok := reservationKey(m.ReservationID); ok {
			reservations[i] = key[:]
		}
		created[i] = m.CreatedAt
		deltas.set(i, m.Delta)
		afters.set(i, m.After)
	}
	args := append([]any{products, locations}, deltas.args()...)
	args = append(args, afters.args()...)
	b.Queue(postgresInsertMovements, append(args, reasons, notes, references, actors, reservations, created)...)
}

// movementKey is the reservation's key, null where there was none (which a nil
// slice is not, on SQLite).
func movementKey(m models.StockMovement) any {
	if key, ok := reservationKey(m.ReservationID); ok {
		return key[:]
	}
	return nil
}

func queueAnswers(b *pgx.Batch, v *view) {
	if len(v.answered) == 0 {
		return
	}
	var keys, prints [][]byte
	var answers []string
	for _, key := range binaryKeys(v.answered) {
		kept := v.answers[key]
		raw, _ := json.Marshal(kept.answer) // plain structs; cannot fail
		keys, prints, answers = append(keys, key[:]), append(prints, kept.fingerprint), append(answers, string(raw))
	}
	b.Queue(postgresInsertAnswers, keys, prints, answers)
}

func byteSlices(keys [][16]byte) [][]byte {
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = keys[i][:]
	}
	return out
}
