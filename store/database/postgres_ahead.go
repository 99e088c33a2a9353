package database

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
)

const (
	// onhand_take, of migration 00008.
	postgresTake = `SELECT onhand_take($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

	postgresNow = `(SELECT current_setting('onhand.now')::timestamptz)`
)

var (
	// A key that was used before is a reservation that is there: unique_violation.
	postgresInsertHolds = newBulk(`INSERT INTO reservations (reservation_id, state, lines, channel, owner_ref, fingerprint, created_at, expires_at)
		SELECT v.reservation_id, 'ACTIVE', v.lines, v.channel, v.owner_ref, v.fingerprint, ` + postgresNow + `,
			` + postgresNow + ` + v.ttl * interval '1 microsecond'
		FROM (SELECT each($1::bytea[]) AS reservation_id, each($2::json[]) AS lines, each($3::text[]) AS channel,
			each($4::text[]) AS owner_ref, each($5::bytea[]) AS fingerprint, each($6::bigint[]) AS ttl) v`)

	postgresInsertRows = newBulk(`INSERT INTO stock_movement_rows (product_id, location_id,
			available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
			available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
			reason, reservation_id, version, created_at, txid)
		SELECT v.product_id, v.location_id, -v.quantity, v.quantity, 0, 0, 0, 0, 0,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			'RESERVED', v.reservation_id, v.version, ` + postgresNow + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM (SELECT each($1::text[]) AS product_id, each($2::text[]) AS location_id, each($3::int[]) AS quantity,
			each($4::int[]) AS available, each($5::int[]) AS reserved, each($6::int[]) AS committed, each($7::int[]) AS damaged,
			each($8::int[]) AS quality_control, each($9::int[]) AS safety_stock, each($10::int[]) AS incoming,
			each($11::bytea[]) AS reservation_id, each($12::bigint[]) AS version) v`)

	// A step of the sequence is as many ids as a pack may have.
	postgresInsertPacks = newBulk(`INSERT INTO stock_movement_packs (first_id, product_id, location_id, size, total, quantities, reservations,
			available, reserved, committed, damaged, quality_control, safety_stock, incoming, version, created_at, txid)
		SELECT nextval('stock_movements_movement_id_seq'), v.product_id, v.location_id, v.size, v.total,
			($15::int[])[v.place : v.place + v.size - 1], v.reservations,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			v.version, ` + postgresNow + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM (SELECT each($1::text[]) AS product_id, each($2::text[]) AS location_id, each($3::int[]) AS size,
			each($4::int[]) AS total, each($5::int[]) AS place,
			each($6::int[]) AS available, each($7::int[]) AS reserved, each($8::int[]) AS committed, each($9::int[]) AS damaged,
			each($10::int[]) AS quality_control, each($11::int[]) AS safety_stock, each($12::int[]) AS incoming,
			each($13::bytea[]) AS reservations, each($14::bigint[]) AS version) v`)
)

// planRefused tells whether the database found something else than a plan expected,
// or one of its keys used before. A floor that was raised since is met before the
// versions are compared; and where the server's default isolation is a stricter one,
// which a pipeline without BEGIN has, rows that others changed are an error.
func planRefused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(pgErr.Code == "ONH01" || pgErr.Code == "23505" || pgErr.Code == "40001" || pgErr.ConstraintName == "never_oversold")
}

const postgresFetch = `SELECT ` + shapedColumns + ` FROM products p WHERE p.product_id = ANY ($1)`

// fetch reads products and then their levels without a lock, in one round trip: a
// change in between is one that the version does not know of, and a plan is refused
// for.
func (e *postgresEngine) fetch(ctx context.Context, products []string) (*view, error) {
	t, err := e.beginTx(ctx, 0)
	if err != nil {
		return nil, e.db.fault(err)
	}
	defer t.rollback()
	t.onePipeline()
	v := newView()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(postgresMoment).QueryRow(scanMoment(v))
		b.Queue(postgresFetch, products).Query(func(r pgx.Rows) error { return each(r, scanShaped, v.addShaped) })
		b.Queue(postgresLevels, products).Query(func(r pgx.Rows) error { return each(r, scanLevel, v.addLevel) })
	})
	return v, e.db.fault(err)
}

// heldRows are the rows of new holds, as columns, and the keys of the answers that
// there must not be.
type heldRows struct{ keys, lines, channels, owners, prints, ttls, answers *column }

// heldRowsKept bounds what is kept of a plan's rows for another plan, in bytes.
const heldRowsKept = 1 << 20

func newHeldRows() *heldRows {
	return &heldRows{bytesColumn(1, 16), linesColumn(1), textColumn(1, 0), textColumn(1, 0), bytesColumn(1, 16), longColumn(1), bytesColumn(1, 16)}
}

func (r *heldRows) columns() []*column {
	return []*column{r.keys, r.lines, r.channels, r.owners, r.prints, r.ttls, r.answers}
}

// Add implements [ReservationRows].
func (r *heldRows) Add(hashes *keyHashes, hold *models.Reservation, ttl time.Duration) {
	r.keys.bytes(hashes.reservation[:])
	r.lines.lines(hold.Lines)
	r.channels.text(hold.Channel)
	r.owners.text(hold.Owner)
	r.prints.bytes(hashes.print[:])
	r.ttls.long(ttl.Microseconds())
	r.answers.bytes(hashes.answer[:])
}

// Args implements [ReservationRows].
func (r *heldRows) Args() []any {
	return parameters(r.keys, r.lines, r.channels, r.owners, r.prints, r.ttls)
}

// AnswerKeys implements [ReservationRows].
func (r *heldRows) AnswerKeys() any { return r.answers }

// Reset implements [ReservationRows].
func (r *heldRows) Reset() bool {
	kept := 0
	for _, c := range r.columns() {
		c.reset()
		kept += cap(c.buf)
	}
	return kept <= heldRowsKept
}

// commitPlan carries out a plan in one round trip.
func (e *postgresEngine) commitPlan(ctx context.Context, p *Plan, lockWait time.Duration) (planOutcome, error) {
	c, err := e.tryPlan(ctx, p, lockWait)
	if planRefused(err) {
		return c, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return c, e.db.fault(err)
}

func (e *postgresEngine) tryPlan(ctx context.Context, p *Plan, lockWait time.Duration) (c planOutcome, err error) {
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
	t.onePipeline()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(postgresTake, takeArgs(p, t.lockWaitText())...).QueryRow(func(r pgx.Row) error {
			var at instant
			err := r.Scan(&at)
			now = at.Time
			return err
		})
		rows, packs := ledgerColumns(&p.movements)
		if rows.products.n > 0 {
			b.Queue(postgresInsertRows.of(int(rows.products.n)), rows.args()...)
		}
		if packs.products.n > 0 {
			b.Queue(postgresInsertPacks.of(int(packs.products.n)), packs.args()...)
		}
		b.Queue(postgresInsertHolds.of(len(p.holds)), p.rows.Args()...)
	})
	return now, err
}

// takeArgs are those of postgresTake.
func takeArgs(p *Plan, lockWait string) []any {
	ids, versions, next := textColumn(len(p.expected), idSize), longColumn(len(p.expected)), longColumn(len(p.expected))
	for _, x := range p.expected {
		ids.text(x.id)
		versions.long(x.version)
		next.long(x.next())
	}
	n := len(p.levels)
	products, locations := textColumn(n, idSize), textColumn(n, idSize)
	available, reserved, taken := intColumn(n), intColumn(n), intColumn(n)
	for i := range p.levels {
		l := &p.levels[i]
		products.text(l.ProductID)
		locations.text(l.LocationID)
		available.int(l.Available)
		reserved.int(l.Reserved)
		taken.int(l.taken)
	}
	return []any{lockWait, p.view.epoch, p.view.directory, p.rows.AnswerKeys(), ids, versions, next,
		products, locations, available, reserved, taken}
}

// newRows implements [OptimisticEngine]. The rows of a batch that is done are used
// again: they are most of what a reservation takes up.
func (e *postgresEngine) newRows() ReservationRows {
	if rows := e.spare.Swap(nil); rows != nil {
		return *rows
	}
	return newHeldRows()
}

// recycle implements [OptimisticEngine].
func (e *postgresEngine) recycle(rows ReservationRows) {
	if rows.Reset() {
		e.spare.Store(&rows)
	}
}
