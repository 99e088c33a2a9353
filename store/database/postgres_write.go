package database

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/jackc/pgx/v5"

	"onhand/models"
)

const (
	postgresDueOf = `SELECT reservation_id, json_array_length(lines) FROM reservations WHERE state = 'ACTIVE' AND expires_at <= (SELECT clock_timestamp())
		AND jsonb_path_query_array(lines::jsonb, '$[*].productId') ?| $1
		ORDER BY expires_at LIMIT $2`

	postgresReservations = `SELECT ` + reservationColumns + ` FROM reservations
		WHERE reservation_id = ANY ($1) ORDER BY reservation_id FOR UPDATE`

	// Not locked: what a key made before is only told again.
	postgresKeyed = `SELECT ` + reservationColumns + ` FROM reservations WHERE reservation_id = ANY ($1)`

	// Levels are locked before products, as the triggers do, each in one order.
	// What somebody else has just committed is seen by the statements after this
	// one. Without reservations the planner is spared the union.
	postgresLock = `WITH locked AS MATERIALIZED (
			SELECT 1 FROM stock_levels l WHERE l.product_id = ANY ($1) ORDER BY l.product_id, l.location_id ` + levelLock + `)
		SELECT ` + shapedColumns + ` FROM products p WHERE p.product_id = ANY ($1) AND (SELECT count(*) FROM locked) >= 0
		ORDER BY p.product_id ` + productLock
	postgresLevels = `SELECT ` + levelColumns + ` FROM stock_levels l JOIN locations c USING (location_id) WHERE l.product_id = ANY ($1)`

	postgresHeldIDs = `(SELECT unnest($1::text[]) COLLATE "C" AS product_id
		UNION SELECT line->>'productId' FROM reservations, json_array_elements(lines) line WHERE reservation_id = ANY ($2))`

	// Uncorrelated: counted once. A batch that is too large reads no levels.
	postgresHeldLines = `(SELECT coalesce(sum(json_array_length(lines)), 0) FROM reservations WHERE reservation_id = ANY ($2))`

	postgresLockHeld = `WITH ids AS MATERIALIZED (SELECT product_id FROM ` + postgresHeldIDs + ` i WHERE ` + postgresHeldLines + ` <= $3::bigint),
		locked AS MATERIALIZED (
			SELECT 1 FROM ids JOIN stock_levels l ON l.product_id = ids.product_id ORDER BY l.product_id, l.location_id ` + levelLock + `)
		SELECT ` + shapedColumns + ` FROM ids JOIN products p ON p.product_id = ids.product_id WHERE (SELECT count(*) FROM locked) >= 0
		ORDER BY p.product_id ` + productLock
	postgresHeldLevels = `SELECT ` + levelColumns + ` FROM ` + postgresHeldIDs + ` i
		JOIN stock_levels l ON l.product_id = i.product_id JOIN locations c USING (location_id)
		WHERE ` + postgresHeldLines + ` <= $3::bigint`

	postgresKeys      = `SELECT key_hash, fingerprint, answer FROM idempotency_keys WHERE key_hash = ANY ($1)`
	postgresLocations = `SELECT location_id, name, priority, active, pickup FROM locations WHERE location_id = ANY ($1)`
	postgresChannels  = `SELECT ` + memberColumns + ` FROM channels c LEFT JOIN channel_locations m USING (channel_id)
		WHERE c.channel_id = ANY ($1) OR c.channel_id IN (SELECT channel FROM reservations WHERE reservation_id = ANY ($2))`

	// Sent before locations and channels are read, which nobody locks: what is
	// remembered of them may be newer than the version it goes by, never older.
	postgresDirectory = `SELECT directory_version FROM onhand_meta`

	// Sent last, so that the clock is read with every lock in hand. The smallest
	// end of a hold is one step into its index; EXISTS would read all holds.
	postgresClock = `SELECT epoch, clock_timestamp(), coalesce((
		SELECT min(expires_at) FROM reservations WHERE state = 'ACTIVE') <= clock_timestamp(), false) FROM onhand_meta`
)

func (t *postgresTx) dueOf(ctx context.Context, products []string, limit int) (holds []dueHold, err error) {
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(postgresDueOf, products, limit).Query(func(r pgx.Rows) error {
			return each(r, scanDueHold, func(h dueHold) { holds = append(holds, h) })
		})
	})
	return holds, err
}

func (t *postgresTx) load(ctx context.Context, w wants, linesMax int) (*view, error) {
	v, heldLines := newView(), 0
	err := t.pipeline(ctx, func(b *pgx.Batch) {
		if w.settings {
			b.Queue(postgresSettingsLock)
		}
		lock, levels, args := postgresLock, postgresLevels, []any{w.products}
		if len(w.reservations) > 0 {
			b.Queue(postgresReservations, byteSlices(w.reservations)).Query(func(r pgx.Rows) error {
				return each(r, scanReservation, func(s *storedReservation) {
					v.held[s.key] = s
					heldLines += len(s.Lines)
				})
			})
			lock, levels, args = postgresLockHeld, postgresHeldLevels, []any{w.products, byteSlices(w.reservations), linesMax}
		}
		locations, channels := postgresLocations, postgresChannels
		if w.settings { // what a row leaves out stays as it is, whoever else is writing
			locations += " ORDER BY location_id FOR NO KEY UPDATE"
			channels += " ORDER BY c.channel_id FOR NO KEY UPDATE OF c"
		}
		b.Queue(lock, args...).Query(func(r pgx.Rows) error {
			return each(r, scanShaped, v.addShaped)
		})
		b.Queue(levels, args...).Query(func(r pgx.Rows) error { return each(r, scanLevel, v.addLevel) })
		if len(w.keys) > 0 {
			b.Queue(postgresKeys, byteSlices(w.keys)).Query(func(r pgx.Rows) error { return each(r, scanAnswer, v.addAnswer) })
		}
		b.Queue(postgresDirectory).QueryRow(func(r pgx.Row) error { return r.Scan(&v.directory) })
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
	stocks = v.committed()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		made := v.dirtyLevels(true)
		if len(made) > 0 {
			b.Queue(postgresInsertLevels.of(len(made)), levelColumnsOf(made)...)
		}
		if touched := v.touched(); len(touched) > 0 {
			changed := v.dirtyLevels(false)
			b.Queue(postgresUpdateLevels.of(len(changed)), append(levelColumnsOf(changed), versionColumns(v, touched)...)...)
		}
		queueReservations(b, v, true)
		queueReservations(b, v, false)
		queueMovements(b, v)
		queueAnswers(b, v)
		queueSettings(b, v.settings)
		// Only now is it known what the products are, and where new levels lie: who
		// makes one has its location locked from then on.
		if len(v.settings.products)+len(made) > 0 {
			b.Queue(postgresReadBack, jsonList(v.told())).Query(func(r pgx.Rows) (err error) {
				if stocks, _, err = collectStocks(r); err == nil {
					v.reread(stocks)
				}
				return err
			})
		}
		b.Queue("COMMIT")
	})
	return stocks, err
}

// postgresReadBack reads products that were just written, while their rows are
// still locked.
var postgresReadBack = strings.ReplaceAll(stockSelect(&postgresFragments), "?::json", "$1::json")

const (
	eachLevel = `(SELECT each($1::text[]) AS product_id, each($2::text[]) AS location_id, each($3::int[]) AS available, each($4::int[]) AS reserved,
		each($5::int[]) AS committed, each($6::int[]) AS damaged, each($7::int[]) AS quality_control, each($8::int[]) AS safety_stock,
		each($9::int[]) AS incoming) v`
)

var (
	// What the triggers do for others: with the levels, the products' versions
	// and the outbox.
	postgresUpdateLevels = newBulk(`WITH levels AS (
			UPDATE stock_levels l SET available = v.available, reserved = v.reserved, committed = v.committed,
				damaged = v.damaged, quality_control = v.quality_control, safety_stock = v.safety_stock, incoming = v.incoming
			FROM ` + eachLevel + ` WHERE l.product_id = v.product_id AND l.location_id = v.location_id),
		versions AS (
			UPDATE products p SET version = v.version FROM (SELECT unnest($10::text[]) AS product_id, unnest($11::bigint[]) AS version) v
			WHERE p.product_id = v.product_id)
		INSERT INTO outbox (product_id, version) SELECT unnest($10::text[]), unnest($11::bigint[])`)

	postgresInsertLevels = newBulk(`INSERT INTO stock_levels (product_id, location_id, available, reserved, committed, damaged, quality_control, safety_stock, incoming)
		SELECT v.* FROM ` + eachLevel)

	postgresInsertReservations = newBulk(`INSERT INTO reservations (` + reservationColumns + `)
		SELECT each($1::bytea[]), each($2::text[]), each($3::json[]), each($4::text[]), each($5::text[]), each($6::text[]), each($7::bytea[]),
			each($8::bigint[]), $9::timestamptz, each($10::timestamptz[])`)

	postgresUpdateReservations = newBulk(`UPDATE reservations r SET state = v.state, lines = v.lines, order_ref = v.order_ref,
			version = v.version, expires_at = v.expires_at
		FROM (SELECT each($1::bytea[]) AS reservation_id, each($2::text[]) AS state, each($3::json[]) AS lines, each($4::text[]) AS order_ref,
			each($5::bigint[]) AS version, each($6::timestamptz[]) AS expires_at) v WHERE r.reservation_id = v.reservation_id`)

	postgresInsertMovements = newBulk(`INSERT INTO stock_movement_rows (` + movementColumns + `, created_at, txid)
		SELECT each($1::text[]), each($2::text[]),
			each($3::int[]), each($4::int[]), each($5::int[]), each($6::int[]), each($7::int[]), each($8::int[]), each($9::int[]),
			each($10::int[]), each($11::int[]), each($12::int[]), each($13::int[]), each($14::int[]), each($15::int[]), each($16::int[]),
			each($17::text[]), each($18::text[]), each($19::text[]), each($20::text[]), each($21::bytea[]), each($22::bigint[]),
			$23::timestamptz, (SELECT pg_current_xact_id()::text::bigint)`)

	postgresInsertAnswers = newBulk(`INSERT INTO idempotency_keys (key_hash, fingerprint, answer)
		SELECT each($1::bytea[]), each($2::bytea[]), each($3::jsonb[])`)
)

// About how long the texts of a row are.
const (
	idSize     = 16
	reasonSize = 10
	linesSize  = 128
)

func levelColumnsOf(levels []*models.Level) []any {
	products, locations, q := textColumn(len(levels), idSize), textColumn(len(levels), idSize), newQuantityColumns(len(levels))
	for _, l := range levels {
		products.text(l.ProductID)
		locations.text(l.LocationID)
		q.add(l.Quantities)
	}
	return append([]any{products, locations}, q.args()...)
}

// versionColumns are products with the versions they get.
func versionColumns(v *view, touched []string) []any {
	products, versions := textColumn(len(touched), idSize), longColumn(len(touched))
	for _, id := range touched {
		products.text(id)
		versions.long(v.products[id].Version + 1)
	}
	return []any{products, versions}
}

// quantityColumns are one column a state.
type quantityColumns [7]*column

func newQuantityColumns(n int) (q quantityColumns) {
	for i := range q {
		q[i] = intColumn(n)
	}
	return q
}

func (c *quantityColumns) add(q models.Quantities) {
	for i, n := range [...]int{q.Available, q.Reserved, q.Committed, q.Damaged, q.QualityControl, q.SafetyStock, q.Incoming} {
		c[i].int(n)
	}
}

func (c *quantityColumns) args() []any {
	args := make([]any, len(c))
	for i := range c {
		args[i] = c[i]
	}
	return args
}

// queueReservations writes those that were made, or those that were changed.
func queueReservations(b *pgx.Batch, v *view, made bool) {
	list := v.reservations(made)
	n := len(list)
	if n == 0 {
		return
	}
	keys, states, lines, orders := bytesColumn(n, 16), textColumn(n, reasonSize), linesColumn(n), textColumn(n, 0)
	channels, owners, prints := textColumn(n, 0), textColumn(n, 0), bytesColumn(n, 16)
	versions, expires := longColumn(n), timeColumn(n)
	var raw []byte
	for _, s := range list {
		raw = appendLines(raw[:0], s.Lines)
		keys.bytes(s.key[:])
		states.text(string(s.State))
		lines.json(raw)
		channels.text(s.Channel)
		owners.text(s.Owner)
		orders.text(s.Order)
		prints.bytes(s.fingerprint)
		versions.long(s.Version)
		expires.time(s.ExpiresAt)
	}
	if made {
		b.Queue(postgresInsertReservations.of(n), keys, states, lines, channels, owners, orders, prints, versions, v.now, expires)
	} else {
		b.Queue(postgresUpdateReservations.of(n), keys, states, lines, orders, versions, expires)
	}
}

func queueMovements(b *pgx.Batch, v *view) {
	n := len(v.movements)
	if n == 0 {
		return
	}
	products, locations, reasons := textColumn(n, idSize), textColumn(n, idSize), textColumn(n, reasonSize)
	notes, references, actors := textColumn(n, 0), textColumn(n, 0), textColumn(n, 0)
	reservations, versions := bytesColumn(n, 16), longColumn(n)
	deltas, afters := newQuantityColumns(n), newQuantityColumns(n)
	for i := range v.movements {
		m := &v.movements[i]
		products.text(m.ProductID)
		locations.text(m.LocationID)
		deltas.add(m.Delta)
		afters.add(m.After)
		reasons.text(string(m.Reason))
		notes.text(m.Note)
		references.text(m.Reference)
		actors.text(m.Actor)
		if key, ok := reservationKey(m.ReservationID); ok {
			reservations.bytes(key[:])
		} else {
			reservations.null()
		}
		versions.long(v.products[m.ProductID].Version + 1)
	}
	args := append([]any{products, locations}, deltas.args()...)
	args = append(args, afters.args()...)
	b.Queue(postgresInsertMovements.of(n), append(args, reasons, notes, references, actors, reservations, versions, v.now)...)
}

func queueAnswers(b *pgx.Batch, v *view) {
	n := len(v.answered)
	if n == 0 {
		return
	}
	keys, prints, answers := bytesColumn(n, 16), bytesColumn(n, 16), jsonColumn(n, linesSize)
	for _, key := range binaryKeys(v.answered) {
		kept := v.answers[key]
		raw, _ := json.Marshal(kept.answer) // plain structs; cannot fail
		keys.bytes(key[:])
		prints.bytes(kept.fingerprint)
		answers.json(raw)
	}
	b.Queue(postgresInsertAnswers.of(n), keys, prints, answers)
}

func byteSlices(keys [][16]byte) [][]byte {
	out := make([][]byte, len(keys))
	for i := range keys {
		out[i] = keys[i][:]
	}
	return out
}
