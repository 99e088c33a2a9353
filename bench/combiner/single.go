package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"onhand/models"
)

// poolSize is how many connections a competitor has: fewer leave the server idle while answers travel, more wait for
// the same rows.
const poolSize = 8

// pool hands out connections, first come first served.
type pool chan *pgx.Conn

func openPool(ctx context.Context, url string) (pool, error) {
	p := make(pool, poolSize)
	for range poolSize {
		conn, err := pgx.Connect(ctx, url)
		if err != nil {
			p.close(ctx)
			return nil, err
		}
		p <- conn
	}
	return p, nil
}

func (p pool) close(ctx context.Context) {
	for range len(p) {
		_ = (<-p).Close(ctx) // it is idle; the server ends with us
	}
}

// transaction runs two pipelines on one connection: take, which begins and tells whether there was enough, and keep,
// which commits. Whatever fails is rolled back. When ctx ends while all connections are taken, it is errOver; what has
// begun is finished.
func (p pool) transaction(ctx context.Context, take func(*pgx.Batch) (enough *bool), keep func(*pgx.Batch)) (taken bool, err error) {
	var conn *pgx.Conn
	select {
	case conn = <-p:
	case <-ctx.Done():
		return false, errOver
	}
	defer func() { p <- conn }()
	ctx = context.WithoutCancel(ctx)
	var b pgx.Batch
	b.Queue("BEGIN")
	enough := take(&b)
	err = conn.SendBatch(ctx, &b).Close()
	if err == nil && *enough {
		b = pgx.Batch{}
		keep(&b)
		b.Queue("COMMIT")
		if err = conn.SendBatch(ctx, &b).Close(); err == nil {
			return true, nil
		}
	}
	_, rollback := conn.Exec(ctx, "ROLLBACK")
	return false, errors.Join(err, rollback)
}

// single is the usual way to reserve with the same features, well made: one transaction for each reservation, on the
// same tables and through the same triggers, in two pipelines of prepared statements, then Redis.
type single struct {
	*shop
	pool pool
}

const (
	// Levels are locked in one order, so that carts do not wait for each other in a ring.
	takeCart = `WITH locked AS (
			SELECT l.product_id, l.location_id, v.quantity FROM unnest($1::text[], $2::int[]) v(product_id, quantity)
			JOIN stock_levels l ON l.product_id = v.product_id AND l.location_id = $3
			WHERE l.available >= v.quantity ORDER BY l.product_id FOR UPDATE OF l)
		UPDATE stock_levels l SET available = l.available - k.quantity, reserved = l.reserved + k.quantity
		FROM locked k WHERE l.product_id = k.product_id AND l.location_id = k.location_id`
	takeOne = `UPDATE stock_levels SET available = available - $2, reserved = reserved + $2
		WHERE product_id = $1 AND location_id = $3 AND available >= $2`
	keepReservation = `INSERT INTO reservations (reservation_id, state, lines, fingerprint, created_at, expires_at)
		SELECT $1, 'ACTIVE', $2, $3, t, t + $4 FROM clock_timestamp() t RETURNING created_at, expires_at`
	ledgerColumns = `INSERT INTO stock_movement_rows (product_id, location_id,
			available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
			available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
			reason, reservation_id, version)
		SELECT l.product_id, l.location_id, -quantity, quantity, 0, 0, 0, 0, 0,
			l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming, 'RESERVED', $4, p.version
		FROM `
	ledgerJoin = ` JOIN stock_levels l ON l.product_id = v.product_id AND l.location_id = $3 JOIN products p ON p.product_id = v.product_id`
	ledgerCart = ledgerColumns + `unnest($1::text[], $2::int[]) v(product_id, quantity)` + ledgerJoin
	ledgerOne  = ledgerColumns + `(SELECT $1::text COLLATE "C" AS product_id, $2::int AS quantity) v` + ledgerJoin
	// What Redis is told.
	readStock = `SELECT m.epoch, clock_timestamp(), p.product_id, p.version, p.title, p.tracked, p.inventory_policy, p.low_stock_threshold,
			l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming, c.active, c.priority
		FROM onhand_meta m CROSS JOIN products p JOIN stock_levels l ON l.product_id = p.product_id JOIN locations c USING (location_id)
		WHERE p.product_id = ANY ($1) ORDER BY p.product_id, c.priority, c.location_id`
)

// Write reserves; it knows no other write.
func (s single) Write(ctx context.Context, write models.Write) (models.WriteResult, error) {
	w, ok := write.(models.Reserve)
	if !ok {
		return models.WriteResult{}, fmt.Errorf("%T is not measured", write)
	}
	r, stocks, err := s.reserve(ctx, w)
	if err != nil {
		return models.WriteResult{}, err
	}
	ctx = context.WithoutCancel(ctx)
	// Redis may be away; the outbox still knows.
	_ = s.cache.Apply(ctx, stocks)
	_ = s.cache.PublishReservations(ctx, []string{r.ID})
	return models.WriteResult{Reservation: r}, nil
}

func (s single) reserve(ctx context.Context, w models.Reserve) (*models.Reservation, []*models.Stock, error) {
	// The id comes from the key, so that one row and one index serve both.
	id := sha256.Sum256([]byte(s.name + w.IdempotencyKey))
	r := &models.Reservation{ID: "res_" + hex.EncodeToString(id[:16]), State: models.ReservationActive, Version: 1}
	products, quantities := make([]string, len(w.Lines)), make([]int32, len(w.Lines))
	for i, line := range w.Lines {
		products[i], quantities[i] = line.ProductID, int32(line.Quantity)
		r.Lines = append(r.Lines, models.ReservationLine{
			ProductID: line.ProductID, Requested: line.Quantity, Quantity: line.Quantity,
			Allocations: []models.Allocation{{LocationID: place, Quantity: line.Quantity}},
		})
	}
	lines, err := json.Marshal(r.Lines)
	if err != nil {
		return nil, nil, err
	}
	fingerprint := sha256.Sum256(append(lines, w.IdempotencyKey...))
	var stocks []*models.Stock
	taken, err := s.pool.transaction(ctx, func(b *pgx.Batch) *bool {
		b.Queue("SELECT set_config('onhand.writer', 'on', true)")
		return queueTake(b, products, quantities)
	}, func(b *pgx.Batch) {
		b.Queue(keepReservation, id[:16], string(lines), fingerprint[:16], cmp.Or(w.ReservationTTL(), holdTTL)).QueryRow(func(row pgx.Row) error {
			return row.Scan(&r.CreatedAt, &r.ExpiresAt)
		})
		queueLedger(b, products, quantities, id[:16])
		b.Queue(readStock, products).Query(func(rows pgx.Rows) (err error) {
			stocks, err = pgx.CollectRows(rows, scanStock)
			return err
		})
	})
	r.ServerTime = r.CreatedAt
	var conflict *pgconn.PgError
	switch {
	case errors.As(err, &conflict) && conflict.Code == "23505":
		return nil, nil, fmt.Errorf("the key %q was used before", w.IdempotencyKey)
	case err != nil:
		return nil, nil, err
	case !taken:
		return nil, nil, fmt.Errorf("not enough of %s", strings.Join(products, ", "))
	}
	return r, stocks, nil
}

// queueTake takes a cart; a cart of one line needs no arrays.
func queueTake(b *pgx.Batch, products []string, quantities []int32) *bool {
	enough := new(bool)
	count := func(tag pgconn.CommandTag) error {
		*enough = int(tag.RowsAffected()) == len(products)
		return nil
	}
	if len(products) == 1 {
		b.Queue(takeOne, products[0], quantities[0], place).Exec(count)
	} else {
		b.Queue(takeCart, products, quantities, place).Exec(count)
	}
	return enough
}

func queueLedger(b *pgx.Batch, products []string, quantities []int32, reservation []byte) {
	if len(products) == 1 {
		b.Queue(ledgerOne, products[0], quantities[0], place, reservation)
	} else {
		b.Queue(ledgerCart, products, quantities, place, reservation)
	}
}

// scanStock reads a row of readStock: every product here lies in one place.
func scanStock(row pgx.CollectableRow) (*models.Stock, error) {
	s := &models.Stock{Levels: make([]models.Level, 1), Source: models.FromDatabase}
	l := &s.Levels[0]
	err := row.Scan(&s.Epoch, &s.AsOf, &s.ProductID, &s.Version, &s.Title, &s.Tracked, &s.InventoryPolicy, &s.LowStockThreshold,
		&l.LocationID, &l.Available, &l.Reserved, &l.Committed, &l.Damaged, &l.QualityControl, &l.SafetyStock, &l.Incoming, &l.Active, &l.Priority)
	l.ProductID = s.ProductID
	return s, err
}

// bare is the least a database can do and still never oversell: a level, a reservation, a line, without any feature.
type bare struct {
	name  string
	admin *pgx.Conn
	pool  pool
}

const bareTables = `
	CREATE TABLE level (product_id text PRIMARY KEY, available integer NOT NULL CHECK (available >= 0)) WITH (fillfactor = 50);
	CREATE TABLE reservation (reservation_id uuid PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT now());
	CREATE TABLE line (reservation_id uuid NOT NULL, product_id text NOT NULL, quantity integer NOT NULL)`

func openBare(ctx context.Context, s *servers, name string, products []string) (_ *bare, err error) {
	b := &bare{name: name}
	var url string
	if url, b.admin, err = s.database(ctx, name); err != nil {
		return nil, err
	}
	if _, err = b.admin.Exec(ctx, bareTables); err == nil {
		_, err = b.admin.Exec(ctx, "INSERT INTO level SELECT unnest($1::text[]), $2", products, opening)
	}
	if err == nil {
		err = b.vacuum(ctx)
	}
	if err == nil {
		b.pool, err = openPool(ctx, url)
	}
	return b, err
}

func (b *bare) vacuum(ctx context.Context) error {
	_, err := b.admin.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// reserve takes one unit of a product.
func (b *bare) reserve(next cart) func(*worker) error {
	return func(w *worker) error {
		lines := next(w)
		line := lines[0]
		id := sha256.Sum256([]byte(w.key()))
		taken, err := b.pool.transaction(w.turn, func(batch *pgx.Batch) *bool {
			enough := new(bool)
			batch.Queue("UPDATE level SET available = available - $2 WHERE product_id = $1 AND available >= $2", line.ProductID, line.Quantity).
				Exec(func(tag pgconn.CommandTag) error { *enough = tag.RowsAffected() == 1; return nil })
			return enough
		}, func(batch *pgx.Batch) {
			batch.Queue("INSERT INTO reservation (reservation_id) VALUES ($1)", [16]byte(id[:16]))
			batch.Queue("INSERT INTO line VALUES ($1, $2, $3)", [16]byte(id[:16]), line.ProductID, line.Quantity)
		})
		if err == nil && !taken {
			err = fmt.Errorf("not enough of %s", line.ProductID)
		}
		if err == nil {
			w.take(lines)
		}
		return err
	}
}

func (b *bare) audit(ctx context.Context, total measure) error {
	var reservations, lines, units, sold int
	err := b.admin.QueryRow(ctx, `SELECT (SELECT count(*) FROM reservation), (SELECT count(*) FROM line),
		(SELECT coalesce(sum(quantity), 0) FROM line), (SELECT sum($1 - available) FROM level)`, opening).Scan(&reservations, &lines, &units, &sold)
	got := []int{reservations, lines, units, sold}
	if want := []int{total.Acknowledged, total.Lines, total.Units, total.Units}; err == nil && !slices.Equal(got, want) {
		err = fmt.Errorf("%s: audit: reservations, lines, units, units sold are %v, want %v", b.name, got, want)
	}
	return err
}

func (b *bare) close(ctx context.Context) error {
	b.pool.close(ctx)
	return b.admin.Close(ctx)
}

// sold is a cart's answer for a server that writes nothing.
func sold(now time.Time) models.WriteResult {
	return models.WriteResult{Reservation: &models.Reservation{
		ID: "res_" + strings.Repeat("0", 32), State: models.ReservationActive, CreatedAt: now, ExpiresAt: now.Add(holdTTL), ServerTime: now, Version: 1,
	}}
}
