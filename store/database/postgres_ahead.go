package database

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
)

const (
	// Locks as postgresLock does, and compares what was remembered.
	postgresExpectProducts = `WITH levels AS MATERIALIZED (
			SELECT 1 FROM stock_levels l WHERE l.product_id = ANY ($1) ORDER BY l.product_id, l.location_id ` + levelLock + `),
		locked AS MATERIALIZED (
			SELECT product_id, version FROM products p WHERE p.product_id = ANY ($1) AND (SELECT count(*) FROM levels) >= 0
			ORDER BY p.product_id ` + productLock + `)
		SELECT onhand_expect((SELECT count(*) FROM locked JOIN unnest($1::text[], $2::bigint[]) AS v(product_id, version)
			USING (product_id, version)) = cardinality($1::text[]))`

	// Now that all is locked, the time, in a form that every DateStyle reads
	// alike. A key that has an answer on record is answered from there.
	postgresExpectMeta = `SELECT onhand_expect(epoch = $1 AND directory_version = $2
			AND NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE key_hash = ANY ($3))),
			` + setNow + ` FROM onhand_meta`

	setNow         = `set_config('onhand.now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), true)::timestamptz`
	postgresSetNow = `SELECT ` + setNow

	// All of this and of postgresHoldLevels at once, where there is one level: what
	// is updated is locked, and the level comes first. A product that has moved on
	// while its lock was waited for is compared again.
	postgresHoldLevel = `WITH level AS (
			UPDATE stock_levels SET available = $3::int, reserved = $4::int WHERE product_id = $1::text AND location_id = $2::text
				AND available = $3::int + $5::int AND reserved = $4::int - $5::int
			RETURNING 1),
		version AS (
			UPDATE products SET version = $6::bigint + 1 WHERE product_id = $1::text AND version = $6::bigint AND (SELECT count(*) FROM level) = 1
			RETURNING product_id, version),
		told AS (
			INSERT INTO outbox (product_id, version) SELECT * FROM version)
		SELECT onhand_expect((SELECT count(*) FROM version) = 1)`

	// As postgresUpdateLevels, of levels that are still as the plan found them.
	postgresHoldLevels = `WITH levels AS (
			UPDATE stock_levels l SET available = v.available, reserved = v.reserved
			FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[]) AS v(product_id, location_id, available, reserved, taken)
			WHERE l.product_id = v.product_id AND l.location_id = v.location_id
				AND l.available = v.available + v.taken AND l.reserved = v.reserved - v.taken
			RETURNING 1),
		versions AS (
			UPDATE products p SET version = v.version FROM unnest($6::text[], $7::bigint[]) AS v(product_id, version)
			WHERE p.product_id = v.product_id),
		told AS (
			INSERT INTO outbox (product_id, version) SELECT * FROM unnest($6::text[], $7::bigint[]))
		SELECT onhand_expect((SELECT count(*) FROM levels) = cardinality($1::text[]))`

	postgresNow = `(SELECT current_setting('onhand.now')::timestamptz)`

	// A key that was used before is a reservation that is there: unique_violation.
	postgresInsertHolds = `INSERT INTO reservations (reservation_id, state, lines, channel, owner_ref, fingerprint, created_at, expires_at)
		SELECT v.reservation_id, 'ACTIVE', v.lines, v.channel, v.owner_ref, v.fingerprint, ` + postgresNow + `,
			` + postgresNow + ` + v.ttl * interval '1 microsecond'
		FROM unnest($1::bytea[], $2::jsonb[], $3::text[], $4::text[], $5::bytea[], $6::bigint[])
			AS v(reservation_id, lines, channel, owner_ref, fingerprint, ttl)`

	postgresInsertRows = `INSERT INTO stock_movement_rows (product_id, location_id,
			available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
			available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
			reason, reservation_id, version, created_at, txid)
		SELECT v.product_id, v.location_id, -v.quantity, v.quantity, 0, 0, 0, 0, 0,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			'RESERVED', v.reservation_id, v.version, ` + postgresNow + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[], $10::int[],
			$11::bytea[], $12::bigint[])
			AS v(product_id, location_id, quantity, available, reserved, committed, damaged, quality_control, safety_stock, incoming,
				reservation_id, version)`

	// A step of the sequence is as many ids as a pack may have.
	postgresInsertPacks = `INSERT INTO stock_movement_packs (first_id, product_id, location_id, size, total, quantities, reservations,
			available, reserved, committed, damaged, quality_control, safety_stock, incoming, version, created_at, txid)
		SELECT nextval('stock_movements_movement_id_seq'), v.product_id, v.location_id, v.size, v.total,
			($15::int[])[v.place : v.place + v.size - 1], v.reservations,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			v.version, ` + postgresNow + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[], $8::int[], $9::int[], $10::int[], $11::int[],
			$12::int[], $13::bytea[], $14::bigint[])
			AS v(product_id, location_id, size, total, place, available, reserved, committed, damaged, quality_control, safety_stock, incoming,
				reservations, version)`
)

// planRefused tells whether the database found something else than a plan expected,
// or one of its keys used before.
func planRefused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) && (pgErr.Code == "ONH01" || pgErr.Code == "23505")
}

const postgresFetch = `SELECT ` + shapedColumns + ` FROM products p WHERE p.product_id = ANY ($1)`

// fetch reads products and then their levels without a lock, in one round trip: a
// change in between is one that the version does not know of, and a plan is refused
// for.
func (e *postgresEngine) fetch(ctx context.Context, products []string) (*view, error) {
	t, err := e.beginTx(ctx, 0)
	if err != nil {
		return nil, err
	}
	defer t.rollback()
	t.begun = true // a transaction for one pipeline is what it is without asking
	v := newView()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(postgresMoment).QueryRow(v.scanMoment)
		b.Queue(postgresFetch, products).Query(func(r pgx.Rows) error { return each(r, scanShaped, v.addShaped) })
		b.Queue(postgresLevels, products).Query(func(r pgx.Rows) error { return each(r, scanLevel, v.addLevel) })
	})
	return v, err
}

// heldRows are the rows of new holds, as columns.
type heldRows struct{ keys, lines, channels, owners, prints, ttls *column }

func newHeldRows(n int) heldRows {
	return heldRows{bytesColumn(n, 16), jsonColumn(n, linesSize), textColumn(n, 0), textColumn(n, 0), bytesColumn(n, 16), longColumn(n)}
}

func (r heldRows) add(key [16]byte, lines []byte, hold *models.Reservation, print [16]byte, ttl time.Duration) {
	r.keys.bytes(key[:])
	r.lines.json(lines)
	r.channels.text(hold.Channel)
	r.owners.text(hold.Owner)
	r.prints.bytes(print[:])
	r.ttls.long(ttl.Microseconds())
}

func (r heldRows) args() []any { return []any{r.keys, r.lines, r.channels, r.owners, r.prints, r.ttls} }

func heldColumns(levels []heldLevel) []any {
	n := len(levels)
	products, locations := textColumn(n, idSize), textColumn(n, idSize)
	available, reserved, taken := intColumn(n), intColumn(n), intColumn(n)
	for i := range levels {
		l := &levels[i]
		products.text(l.ProductID)
		locations.text(l.LocationID)
		available.int(l.Available)
		reserved.int(l.Reserved)
		taken.int(l.taken)
	}
	return []any{products, locations, available, reserved, taken}
}

// planOutcome is what became of a plan that was carried out.
type planOutcome struct {
	held, moved time.Time // as of which the holds were made, and the stock changed
	found       []foundLevel
}

// commitPlan carries out a plan in one round trip.
func (e *postgresEngine) commitPlan(ctx context.Context, p *Plan, lockWait time.Duration) (c planOutcome, err error) {
	t, err := e.beginTx(ctx, lockWait)
	if err != nil {
		return c, err
	}
	defer t.rollback()
	if p.byStock {
		return t.commitByStock(ctx, p)
	}
	c.held, err = t.commitByVersion(ctx, p)
	c.moved = c.held
	return c, err
}

// commitByVersion carries out a plan by version.
func (t *postgresTx) commitByVersion(ctx context.Context, p *Plan) (now time.Time, err error) {
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		one := len(p.levels) == 1 && len(p.expected) == 1
		if one {
			l := &p.levels[0]
			b.Queue(postgresHoldLevel, l.ProductID, l.LocationID, l.Available, l.Reserved, l.taken, p.expected[0].version)
		} else {
			b.Queue(postgresExpectProducts, expectedColumns(p.expected)...)
		}
		b.Queue(postgresExpectMeta, p.view.epoch, p.view.directory, p.keys).QueryRow(func(r pgx.Row) error {
			var at instant
			err := r.Scan(nil, &at)
			now = at.Time
			return err
		})
		if len(p.levels) > 0 && !one {
			b.Queue(postgresHoldLevels, append(heldColumns(p.levels), nextColumns(p.expected)...)...)
		}
		rows, packs := p.movements.columns()
		if rows.products.n > 0 {
			b.Queue(postgresInsertRows, rows.args()...)
		}
		if packs.products.n > 0 {
			b.Queue(postgresInsertPacks, packs.args()...)
		}
		b.Queue(postgresInsertHolds, p.rows.args()...)
		b.Queue("COMMIT")
	})
	return now, err
}

// expectedColumns are products with the versions they should have.
func expectedColumns(list []expected) []any {
	ids, versions := textColumn(len(list), idSize), longColumn(len(list))
	for _, x := range list {
		ids.text(x.id)
		versions.long(x.version)
	}
	return []any{ids, versions}
}

// nextColumns are those that change, with the versions they get.
func nextColumns(list []expected) []any {
	ids, versions := textColumn(len(list), idSize), longColumn(len(list))
	for _, x := range list {
		if x.changed {
			ids.text(x.id)
			versions.long(x.version + 1)
		}
	}
	return []any{ids, versions}
}
