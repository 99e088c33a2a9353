package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3/driver"

	"onhand/examples/orderservice/client"
)

// step is what Onhand does for an order.
type step string

const (
	commit  step = "commit"
	fulfill step = "fulfill"
	cancel  step = "cancel"
)

var (
	errUnknownOrder = errors.New("no such order")
	errKnownOrder   = errors.New("the order exists, for another reservation")
	errWrongState   = errors.New("the order is not in the state for this")
)

// orders is the service's own database. An order and the step that Onhand owes it are
// written in one transaction, so that neither exists without the other.
type orders struct{ db *sql.DB }

const tables = `
CREATE TABLE IF NOT EXISTS orders (
	order_ref      TEXT PRIMARY KEY,
	reservation_id TEXT NOT NULL,
	state          TEXT NOT NULL, -- placed, refused, or the state of its reservation
	refusal        TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS outbox (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	order_ref  TEXT NOT NULL REFERENCES orders,
	step       TEXT NOT NULL,
	name       TEXT NOT NULL, -- of the step within its order
	key        TEXT NOT NULL, -- the idempotency key: random, the same for every attempt
	lines      TEXT NOT NULL,        -- JSON: client.ReservationLinePartInput, null for all
	attempts   INTEGER NOT NULL DEFAULT 0,
	not_before INTEGER NOT NULL DEFAULT 0, -- milliseconds since 1970
	done       INTEGER NOT NULL DEFAULT 0, -- 1: Onhand has taken or refused it
	UNIQUE (order_ref, name)
);
CREATE TABLE IF NOT EXISTS ledger_position (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), cursor TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS ordered_units (product_id TEXT PRIMARY KEY, units INTEGER NOT NULL);
`

// openOrders opens the database file and makes its tables.
func openOrders(ctx context.Context, path string) (*orders, error) {
	db, err := driver.Open("file:" + path + "?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)&_txlock=immediate")
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if _, err := db.ExecContext(ctx, tables); err != nil {
		return nil, errors.Join(fmt.Errorf("make tables: %w", err), db.Close())
	}
	return &orders{db: db}, nil
}

// Close closes the database.
func (o *orders) Close() error { return o.db.Close() }

// place records an order that was paid for. A repeat with the same reservation changes nothing.
func (o *orders) place(ctx context.Context, ref, reservationID string) error {
	return o.within(ctx, func(tx *sql.Tx) error {
		var known string
		err := tx.QueryRowContext(ctx, `SELECT reservation_id FROM orders WHERE order_ref = ?`, ref).Scan(&known)
		switch {
		case err == nil && known == reservationID:
			return nil
		case err == nil:
			return errKnownOrder
		case !errors.Is(err, sql.ErrNoRows):
			return err
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO orders (order_ref, reservation_id, state) VALUES (?, ?, 'placed')`, ref, reservationID); err != nil {
			return err
		}
		return owe(ctx, tx, ref, commit, "commit", nil)
	})
}

// ship records a parcel of an order: all that is left of it, or some lines. A repeat of
// the same parcel changes nothing.
func (o *orders) ship(ctx context.Context, ref, parcel string, lines []client.ReservationLinePartInput) error {
	return o.next(ctx, ref, fulfill, "parcel-"+parcel, lines)
}

// cancel records that what is left of an order is cancelled.
func (o *orders) cancel(ctx context.Context, ref string) error {
	return o.next(ctx, ref, cancel, "cancel", nil)
}

// next owes a later step to an order.
func (o *orders) next(ctx context.Context, ref string, s step, name string, lines []client.ReservationLinePartInput) error {
	return o.within(ctx, func(tx *sql.Tx) error {
		var state string
		err := tx.QueryRowContext(ctx, `SELECT state FROM orders WHERE order_ref = ?`, ref).Scan(&state)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return errUnknownOrder
		case err != nil:
			return err
		case state == "refused":
			return errWrongState
		}
		return owe(ctx, tx, ref, s, name, lines)
	})
}

// owe adds a step to the outbox, once for each name of an order.
func owe(ctx context.Context, tx *sql.Tx, ref string, s step, name string, lines []client.ReservationLinePartInput) error {
	raw, err := json.Marshal(lines)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO outbox (order_ref, step, name, key, lines) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		ref, s, name, rand.Text(), raw)
	return err
}

// owed is a step that Onhand has not taken yet.
type owed struct {
	id            int64
	ref           string
	reservationID string
	step          step
	key           string
	lines         []client.ReservationLinePartInput
	attempts      int
}

// due returns the next step to send, nil when there is none: of each order only its
// oldest, so that an order is committed before a parcel of it leaves.
func (o *orders) due(ctx context.Context, now time.Time) (*owed, error) {
	var w owed
	var lines []byte
	err := o.db.QueryRowContext(ctx, `SELECT id, order_ref, reservation_id, step, key, lines, attempts
		FROM outbox JOIN orders USING (order_ref)
		WHERE not_before <= ? AND id IN (SELECT min(id) FROM outbox WHERE done = 0 GROUP BY order_ref) ORDER BY id LIMIT 1`, now.UnixMilli()).
		Scan(&w.id, &w.ref, &w.reservationID, &w.step, &w.key, &lines, &w.attempts)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &w, json.Unmarshal(lines, &w.lines)
}

// later puts a step off: Onhand, or the way to it, does not answer.
func (o *orders) later(ctx context.Context, w *owed, at time.Time) error {
	_, err := o.db.ExecContext(ctx, `UPDATE outbox SET attempts = attempts + 1, not_before = ? WHERE id = ?`, at.UnixMilli(), w.id)
	return err
}

// done ends a step that Onhand has taken, and records the state that came of it.
func (o *orders) done(ctx context.Context, w *owed, state string) error {
	return o.end(ctx, w, `UPDATE orders SET state = ? WHERE order_ref = ?`, state)
}

// refused ends a step that Onhand refused for good. An order whose units could not be
// had is refused; a later step leaves its state.
func (o *orders) refused(ctx context.Context, w *owed, why string) error {
	return o.end(ctx, w, `UPDATE orders SET refusal = ?, state = iif(state = 'placed', 'refused', state) WHERE order_ref = ?`, why)
}

// end changes an order and ends a step of it. The row stays: a late repeat of the same
// parcel must not become a new step.
func (o *orders) end(ctx context.Context, w *owed, change, value string) error {
	return o.within(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, change, value, w.ref); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `UPDATE outbox SET done = 1 WHERE id = ?`, w.id)
		return err
	})
}

// state returns the state of an order, and why Onhand refused it.
func (o *orders) state(ctx context.Context, ref string) (state, refusal string, err error) {
	err = o.db.QueryRowContext(ctx, `SELECT state, refusal FROM orders WHERE order_ref = ?`, ref).Scan(&state, &refusal)
	if errors.Is(err, sql.ErrNoRows) {
		return "", "", errUnknownOrder
	}
	return state, refusal, err
}

func (o *orders) within(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := o.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
