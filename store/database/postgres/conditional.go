package postgres

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
	"onhand/store/database/optimistic"
)

// The statements of a plan by stock, by how its movements are kept: as rows, as
// packs, as both.
var (
	conditionalRowsSQL   = conditionalSQL(true, false)
	conditionalChunksSQL = conditionalSQL(false, true)
	conditionalBothSQL   = conditionalSQL(true, true)
)

// postgresByStock is what a plan by stock does to products: the levels are locked
// and then the products, have enough and the shape expected, or nothing happens.
// Versions and quantities come of what is there; it answers with the time, and
// with what is not as planned. The time is read once all is locked: what is counted
// of moved comes before what is selected.
//
// $1 to $10 have a place for each level, in order of product: which, how many units
// are taken, down to which floor, the shape expected, what version, available and
// reserved are to be after it if nobody else changed it, and where its movements
// begin (from 1) and how many they are. $11 to $13 have a place for each movement,
// level by level: how many units, how many from it to the level's last, and 16
// bytes for whom.
//
// Nothing says in which order it comes by several products: they are locked before,
// in order (commitByStock).
func conditionalSQL(rows, packs bool) bulk {
	quantityMax, packMin, packMax := strconv.Itoa(models.QuantityMax), strconv.Itoa(ledger.ChunkMin), strconv.Itoa(ledger.ChunkMax)
	query := `WITH levels AS (
			UPDATE stock_levels l SET available = l.available - a.taken, reserved = l.reserved + a.taken
			FROM (SELECT each($1::text[]) AS product_id, each($2::text[]) AS location_id, each($3::int[]) AS taken, each($4::int[]) AS floor,
				each($5::bigint[]) AS shape, each($6::bigint[]) AS version, each($7::int[]) AS available, each($8::int[]) AS reserved,
				each($9::int[]) AS place, each($10::int[]) AS size) a
			WHERE l.product_id = a.product_id AND l.location_id = a.location_id
				AND l.available >= a.floor + a.taken AND l.reserved <= ` + quantityMax + ` - a.taken
			RETURNING l.*, a.shape, a.version AS planned_version, a.available AS planned_available, a.reserved AS planned_reserved, a.place, a.size),
		moved AS (
			UPDATE products p SET version = p.version + 1 FROM levels l
			WHERE p.product_id = l.product_id AND p.shape = l.shape AND (SELECT count(*) FROM levels) = cardinality($1::text[])
			RETURNING l.*, p.version),
		clock AS MATERIALIZED (
			SELECT clock_timestamp() AS now, pg_current_xact_id()::text::bigint AS txid,
				onhand_expect(m.n = cardinality($1::text[]) AND clock_timestamp() < ` + nowSQL + ` + interval '` + ledger.ChunkDelayMax.String() + `')
			FROM (SELECT count(*) AS n FROM moved) m),
		told AS (
			INSERT INTO outbox (product_id, version) SELECT product_id, version FROM moved),`
	if rows {
		query += `
		single AS (
			INSERT INTO stock_movement_rows (product_id, location_id,
				available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
				available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
				reason, reservation_id, version, created_at, txid)
			SELECT m.product_id, m.location_id, -($11::int[])[i], ($11::int[])[i], 0, 0, 0, 0, 0,
				m.available + ($12::int[])[i] - ($11::int[])[i], m.reserved - ($12::int[])[i] + ($11::int[])[i],
				m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming,
				'RESERVED', substr($13::bytea, 16 * i - 15, 16), m.version, c.now, c.txid
			FROM clock c CROSS JOIN moved m CROSS JOIN generate_series(m.place, m.place + m.size - 1) i WHERE m.size < ` + packMin + `),`
	}
	if packs { // a step of the sequence is as many ids as a pack may have
		query += `
		packed AS (
			INSERT INTO stock_movement_packs (first_id, product_id, location_id, size, total, quantities, reservations,
				available, reserved, committed, damaged, quality_control, safety_stock, incoming, version, created_at, txid)
			SELECT nextval('stock_movements_movement_id_seq'), m.product_id, m.location_id, n,
				($12::int[])[i] - CASE WHEN i + n < m.place + m.size THEN ($12::int[])[i + n] ELSE 0 END,
				($11::int[])[i : i + n - 1], substr($13::bytea, 16 * i - 15, 16 * n),
				m.available + ($12::int[])[i], m.reserved - ($12::int[])[i],
				m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming, m.version, c.now, c.txid
			FROM clock c CROSS JOIN moved m CROSS JOIN generate_series(m.place, m.place + m.size - 1, ` + packMax + `) i
				CROSS JOIN least(` + packMax + `, m.place + m.size - i) n WHERE m.size >= ` + packMin + `),`
	}
	return newBulk(strings.TrimSuffix(query, ",") + `
		SELECT c.now, m.product_id, m.version, m.available, m.reserved, m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming
		FROM clock c LEFT JOIN moved m ON m.version <> m.planned_version OR m.available <> m.planned_available OR m.reserved <> m.planned_reserved`)
}

// Begins a plan by stock, at this time, in a form that every DateStyle reads alike.
const beginConditionalSQL = `SELECT set_config('onhand.writer', 'versions', true), set_config('lock_timeout', $1, true),
	set_config('onhand.now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), true)::timestamptz`

// A key that has an answer on record is answered from there.
const expectSameSQL = `SELECT onhand_expect(epoch = $1 AND directory_version = $2
	AND NOT EXISTS (SELECT 1 FROM idempotency_keys WHERE key_hash = ANY ($3))) FROM onhand_meta`

// commitByStock carries out a plan by stock. The holds come first, which nobody
// else waits for: so the levels, which others do wait for, are locked for as short
// as can be. The holds' time is therefore a little before that of the stock.
func (t *transaction) commitConditional(ctx context.Context, p *optimistic.Batch) (c optimistic.CommitResult, err error) {
	query, args := conditionalArgs(p)
	t.skipBegin()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		b.Queue(beginConditionalSQL, t.lockWaitText()).QueryRow(func(r pgx.Row) error {
			var at dialect.Instant
			err := r.Scan(nil, nil, &at)
			c.CreatedAt = at.Time
			return err
		})
		b.Queue(insertNewReservationsSQL.of(len(p.Reservations)), p.Rows.Args()...)
		if len(p.Levels) > 1 { // else they are changed in whatever order they are found, and two plans wait for each other
			b.Queue(lockSQL, args[0])
		}
		b.Queue(query, args...).Query(func(r pgx.Rows) error {
			return dialect.Each(r, scanFound, func(f foundRow) {
				c.ChangedAt = f.now
				if f.product != nil {
					c.Found = append(c.Found, optimistic.FoundLevel{Product: *f.product, Version: *f.version, Quantities: f.quantities()})
				}
			})
		})
		// With all locks in hand.
		b.Queue(expectSameSQL, p.Unit.Epoch, p.Unit.Directory, p.Rows.AnswerKeys())
	})
	return c, err
}

// byStockArgs is the statement that fits a closed plan's movements, and $1 to $13 of
// it.
func conditionalArgs(p *optimistic.Batch) (query string, args []any) {
	n, movements := len(p.Levels), 0
	for _, l := range p.Movements.Order {
		movements += len(l.Quantities)
	}
	products, locations, taken, floors := textColumn(n, idSize), textColumn(n, idSize), intColumn(n), intColumn(n)
	shapes, versions := longColumn(n), longColumn(n)
	available, reserved, places, sizes := intColumn(n), intColumn(n), intColumn(n), intColumn(n)
	quantities, sums, keys := intColumn(movements), intColumn(movements), make([]byte, 0, 16*movements)
	rows, packs, next := false, false, 0
	for i := range p.Levels {
		for p.Expected[next].ID != p.Levels[i].ProductID { // both are in order; not all products were taken of
			next++
		}
		l, x := &p.Levels[i], &p.Expected[next]
		moved := p.Movements.Levels[decide.LevelID{Product: l.ProductID, Location: l.LocationID}]
		products.text(l.ProductID)
		locations.text(l.LocationID)
		taken.int(l.Taken)
		floors.int(x.Floor)
		shapes.long(x.SettingsRevision)
		versions.long(x.Version + 1)
		available.int(l.Available)
		reserved.int(l.Reserved)
		places.int(int(quantities.n) + 1)
		sizes.int(len(moved.Quantities))
		rest := l.Taken
		for _, q := range moved.Quantities {
			quantities.int(int(q))
			sums.int(rest)
			rest -= int(q)
		}
		keys = append(keys, moved.Keys...)
		rows, packs = rows || len(moved.Quantities) < ledger.ChunkMin, packs || len(moved.Quantities) >= ledger.ChunkMin
	}
	statement := conditionalBothSQL
	switch {
	case !packs:
		statement = conditionalRowsSQL
	case !rows:
		statement = conditionalChunksSQL
	}
	return statement.of(n), []any{products, locations, taken, floors, shapes, versions, available, reserved, places, sizes, quantities, sums, keys}
}

// foundRow is a row of the answer of postgresByStock: what is not as planned, or,
// where all is, the time alone. Its states are in the order of quantityColumns.
type foundRow struct {
	now     time.Time
	product *string
	version *int64
	states  [7]*int32
}

func scanFound(r dialect.Rows) (f foundRow, err error) {
	var at dialect.Instant
	dest := []any{&at, &f.product, &f.version}
	for i := range f.states {
		dest = append(dest, &f.states[i])
	}
	err = r.Scan(dest...)
	f.now = at.Time
	return f, err
}

func (f foundRow) quantities() models.Quantities {
	s := f.states
	return models.Quantities{
		Available: int(*s[0]), Reserved: int(*s[1]), Committed: int(*s[2]), Damaged: int(*s[3]),
		QualityControl: int(*s[4]), SafetyStock: int(*s[5]), Incoming: int(*s[6]),
	}
}
