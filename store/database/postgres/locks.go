package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// These statements find blocked rows: SKIP LOCKED locks all others. xmax is the
// transaction that locked the row. The statements' own locks end with their
// transaction, at once.
const (
	lockedLevelsSQL = `WITH free AS MATERIALIZED (
			SELECT product_id, location_id FROM stock_levels WHERE product_id = ANY ($1) FOR UPDATE SKIP LOCKED)
		SELECT DISTINCT product_id, xmax::text FROM stock_levels l WHERE product_id = ANY ($1)
			AND NOT EXISTS (SELECT 1 FROM free f WHERE f.product_id = l.product_id AND f.location_id = l.location_id)`

	lockedProductsSQL = `WITH free AS MATERIALIZED (
			SELECT product_id FROM products WHERE product_id = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED)
		SELECT product_id, xmax::text FROM products p WHERE product_id = ANY ($1)
			AND NOT EXISTS (SELECT 1 FROM free f WHERE f.product_id = p.product_id)`

	lockedReservationsSQL = `WITH free AS MATERIALIZED (
			SELECT reservation_id FROM reservations WHERE reservation_id = ANY ($1) FOR UPDATE SKIP LOCKED)
		SELECT reservation_id, xmax::text FROM reservations r WHERE reservation_id = ANY ($1)
			AND NOT EXISTS (SELECT 1 FROM free f WHERE f.reservation_id = r.reservation_id)`

	linesOfSQL = `SELECT reservation_id, line->>'productId' FROM reservations, json_array_elements(lines) line
		WHERE reservation_id = ANY ($1) LIMIT $2`
)

// linesOfMax bounds the lines that are searched for the row that blocks a batch: twice
// what a batch may have, because it has not been counted yet.
const linesOfMax = 2 * dialect.ReservedLinesMax

// Locked implements [dialect.Engine].
func (e *Engine) Locked(ctx context.Context, products []string, reservations [][16]byte) (dialect.Locks, error) {
	locks := dialect.Locks{}
	product := func(r pgx.Rows) error {
		return dialect.Each(r, scanHolder[string], func(l lockedRow[string]) { locks.Add(dialect.RowRef{Product: l.id}, l.holder) })
	}
	err := e.rolledBack(ctx, func(b *pgx.Batch) {
		b.Queue(lockedLevelsSQL, products).Query(product)
		b.Queue(lockedProductsSQL, products).Query(product)
		b.Queue(lockedReservationsSQL, byteSlices(reservations)).Query(func(r pgx.Rows) error {
			return dialect.Each(r, scanHolder[[]byte], func(l lockedRow[[]byte]) {
				locks.Add(dialect.RowRef{Reservation: decide.ReservationID(l.id)}, l.holder)
			})
		})
	})
	return locks, err
}

// LinesOf implements [dialect.Engine].
func (e *Engine) LinesOf(ctx context.Context, reservations [][16]byte) (map[[16]byte][]string, error) {
	lines := map[[16]byte][]string{}
	err := e.rolledBack(ctx, func(b *pgx.Batch) {
		b.Queue(linesOfSQL, byteSlices(reservations), linesOfMax).Query(func(r pgx.Rows) error {
			var key []byte
			var product string
			for r.Next() {
				if err := r.Scan(&key, &product); err != nil {
					return err
				}
				lines[[16]byte(key)] = append(lines[[16]byte(key)], product)
			}
			return r.Err()
		})
	})
	return lines, err
}

// rolledBack runs one pipeline in a transaction that is rolled back.
func (e *Engine) rolledBack(ctx context.Context, queue func(*pgx.Batch)) error {
	tx, err := e.beginTx(ctx, dialect.LockTimeout)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	return tx.pipeline(ctx, queue)
}

// lockedRow is the id of a locked row with the transaction that locked it.
type lockedRow[ID any] struct {
	id     ID
	holder string
}

func scanHolder[ID any](r dialect.Rows) (l lockedRow[ID], err error) {
	err = r.Scan(&l.id, &l.holder)
	return l, err
}
