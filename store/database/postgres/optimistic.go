package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/optimistic"
	"onhand/store/database/postgres/holdersql"
)

const (
	// Compare-and-set; see onhand_reserve in 00001_inventory.sql.
	reserveSQL = `SELECT onhand_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`

	// The time of the transaction, which its first statement has set.
	nowSQL = `(SELECT current_setting('onhand.now')::timestamptz)`
)

var (
	// A key that was used before has its reservation: the INSERT fails with
	// unique_violation.
	insertNewReservationsSQL = `INSERT INTO reservations (reservation_id, state, lines, channel, owner_ref, holder, fingerprint, counted, in_purchases, created_at, expires_at)
		SELECT v.reservation_id, 'ACTIVE', v.lines, v.channel, v.owner_ref, v.holder, v.fingerprint, v.flags & 1 <> 0, v.flags & 2 <> 0, ` + nowSQL + `,
			` + nowSQL + ` + v.ttl * interval '1 microsecond'
		FROM (SELECT unnest($1::bytea[]) AS reservation_id, unnest($2::json[]) AS lines, unnest($3::text[]) AS channel,
			unnest($4::text[]) AS owner_ref, unnest($5::text[]) AS holder, unnest($6::bytea[]) AS fingerprint, unnest($7::bigint[]) AS ttl, unnest($8::int[]) AS flags) v`

	insertLedgerRowsSQL = `INSERT INTO ledger_rows (product_id, location_id,
			available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
			available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
			reason, reservation_id, version, created_at, txid)
		SELECT v.product_id, v.location_id, -v.quantity, v.quantity, 0, 0, 0, 0, 0,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			'RESERVED', v.reservation_id, v.version, ` + nowSQL + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM (SELECT unnest($1::text[]) AS product_id, unnest($2::text[]) AS location_id, unnest($3::int[]) AS quantity,
			unnest($4::int[]) AS available, unnest($5::int[]) AS reserved, unnest($6::int[]) AS committed, unnest($7::int[]) AS damaged,
			unnest($8::int[]) AS quality_control, unnest($9::int[]) AS safety_stock, unnest($10::int[]) AS incoming,
			unnest($11::bytea[]) AS reservation_id, unnest($12::bigint[]) AS version) v`

	// nextval takes as many ids as a chunk may have.
	insertChunksSQL = `INSERT INTO ledger_chunks (first_id, product_id, location_id, size, total, quantities, reservations,
			available, reserved, committed, damaged, quality_control, safety_stock, incoming, version, created_at, txid)
		SELECT nextval('movement_sequence'), v.product_id, v.location_id, v.size, v.total,
			($15::int[])[v.place : v.place + v.size - 1], v.reservations,
			v.available, v.reserved, v.committed, v.damaged, v.quality_control, v.safety_stock, v.incoming,
			v.version, ` + nowSQL + `, (SELECT pg_current_xact_id()::text::bigint)
		FROM (SELECT unnest($1::text[]) AS product_id, unnest($2::text[]) AS location_id, unnest($3::int[]) AS size,
			unnest($4::int[]) AS total, unnest($5::int[]) AS place,
			unnest($6::int[]) AS available, unnest($7::int[]) AS reserved, unnest($8::int[]) AS committed, unnest($9::int[]) AS damaged,
			unnest($10::int[]) AS quality_control, unnest($11::int[]) AS safety_stock, unnest($12::int[]) AS incoming,
			unnest($13::bytea[]) AS reservations, unnest($14::bigint[]) AS version) v`
)

// refused tells whether the database found something else than the batch expected
// (ONH01), or a reservation of one of its keys (unique_violation). A floor that was
// raised since fails never_oversold before versions are compared. A pipeline without
// BEGIN has the server's default isolation: where that is stricter, a row that another
// transaction changed is a serialization_failure.
func refused(err error) bool {
	var pgErr *pgconn.PgError
	return errors.As(err, &pgErr) &&
		(pgErr.Code == "ONH01" || pgErr.Code == "23505" || pgErr.Code == "40001" || pgErr.ConstraintName == "never_oversold")
}

const fetchSQL = `SELECT ` + dialect.RevisedProductColumns + ` FROM products p WHERE p.product_id = ANY ($1)`

// FetchProducts implements [optimistic.BatchEngine]. It reads products before their levels: a
// change in between has a version that the cache does not know, and the batch that was
// decided on it is refused.
func (e *Engine) FetchProducts(ctx context.Context, products []string) (*decide.UnitOfWork, error) {
	t, err := e.beginTx(ctx, 0)
	if err != nil {
		return nil, e.db.Fault(err)
	}
	defer t.Rollback()
	t.skipBegin()
	u := decide.NewUnitOfWork()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(momentSQL).QueryRow(scanMoment(u))
		b.Queue(fetchSQL, products).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanRevisedProduct, u.AddProduct) })
		b.Queue(levelsSQL, products).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanLevel, u.AddLevel) })
	})
	return u, e.db.Fault(err)
}

// FetchUncounted implements [optimistic.BatchEngine].
func (e *Engine) FetchUncounted(ctx context.Context, limit int, keep func(holder string)) error {
	t, err := e.beginTx(ctx, 0)
	if err != nil {
		return e.db.Fault(err)
	}
	defer t.Rollback()
	t.skipBegin()
	return e.db.Fault(t.pipeline(ctx, func(b *pgx.Batch) { holdersql.QueueUncounted(b, limit, keep) }))
}

// CommitBatch implements [optimistic.BatchEngine].
func (e *Engine) CommitBatch(ctx context.Context, batch *optimistic.ReservationBatch, lockWait time.Duration) (optimistic.CommitResult, error) {
	c, err := e.commitBatch(ctx, batch, lockWait)
	if refused(err) {
		return c, fmt.Errorf("%w: %w", optimistic.ErrRefused, err)
	}
	return c, e.db.Fault(err)
}

func (e *Engine) commitBatch(ctx context.Context, batch *optimistic.ReservationBatch, lockWait time.Duration) (c optimistic.CommitResult, err error) {
	t, err := e.beginTx(ctx, lockWait)
	if err != nil {
		return c, err
	}
	defer t.Rollback()
	if batch.Conditional {
		return t.commitConditional(ctx, batch)
	}
	c.CreatedAt, err = t.commitCompareAndSet(ctx, batch)
	c.ChangedAt = c.CreatedAt
	return c, err
}

// commitCompareAndSet commits a batch by compare-and-set.
func (t *transaction) commitCompareAndSet(ctx context.Context, batch *optimistic.ReservationBatch) (now time.Time, err error) {
	t.skipBegin()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		holdersql.QueueWithin(b, batch.Held, t.lockWaitText())
		b.Queue(reserveSQL, reserveArgs(batch, t.lockWaitText())...).QueryRow(func(r pgx.Row) error {
			var at dialect.Instant
			err := r.Scan(&at)
			now = at.Time
			return err
		})
		holdersql.QueuePurchasesWithin(b, batch.Purchases, false)
		rows, chunks := ledgerColumns(&batch.Movements)
		if rows.products.n > 0 {
			b.Queue(insertLedgerRowsSQL, rows.args()...)
		}
		if chunks.products.n > 0 {
			b.Queue(insertChunksSQL, chunks.args()...)
		}
		b.Queue(insertNewReservationsSQL, batch.Rows.Args()...)
	})
	return now, err
}

// reserveArgs are the arguments of onhand_reserve.
func reserveArgs(batch *optimistic.ReservationBatch, lockWait string) []any {
	ids, versions, next := textColumn(len(batch.Expected), idSize), longColumn(len(batch.Expected)), longColumn(len(batch.Expected))
	for _, x := range batch.Expected {
		ids.text(x.ID)
		versions.long(x.Version)
		next.long(x.Next())
	}
	n := len(batch.Levels)
	products, locations := textColumn(n, idSize), textColumn(n, idSize)
	available, reserved, units := intColumn(n), intColumn(n), intColumn(n)
	for i := range batch.Levels {
		l := &batch.Levels[i]
		products.text(l.ProductID)
		locations.text(l.LocationID)
		available.int(l.Available)
		reserved.int(l.Reserved)
		units.int(l.Taken)
	}
	return []any{lockWait, batch.Unit.Epoch, batch.Unit.Directory, batch.NotAfter, ids, versions, next,
		products, locations, available, reserved, units}
}
