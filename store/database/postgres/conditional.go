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
	"onhand/store/database/postgres/holdersql"
)

// The statements of a conditional decrement, by how the ledger stores its movements:
// as rows, as chunks, as both.
var (
	conditionalRowsSQL   = conditionalSQL(true, false)
	conditionalChunksSQL = conditionalSQL(false, true)
	conditionalBothSQL   = conditionalSQL(true, true)
)

// conditionalSQL is a conditional decrement of levels, with their movements. It
// locks the levels and then the products. Unless every level has enough stock and
// every product the expected settings revision, onhand_expect ends the transaction.
//
// New versions and quantities are computed from the rows found. The answer is the
// time, and the levels that another instance had changed too. The time is read with
// all locks taken: clock counts the rows of updated before it reads the time.
//
// $1 to $10 have one element for each level, in order of product:
//
//	$1, $2      product and location
//	$3, $4      how many units it gives, and its floor
//	$5          the expected settings revision
//	$6, $7, $8  version, available and reserved afterwards, if no other instance changed them
//	$9, $10     the place of its first movement in $11, from 1, and the number of its movements
//
// $11 to $13 have one element for each movement, level by level:
//
//	$11  its units
//	$12  the units from this movement to the level's last one
//	$13  the 16 bytes of its reservation
//
// The statement updates several products in no particular order, so
// commitConditional locks them in order beforehand.
func conditionalSQL(rows, chunks bool) string {
	quantityMax, chunkMin, chunkMax := strconv.Itoa(models.QuantityMax), strconv.Itoa(ledger.ChunkMin), strconv.Itoa(ledger.ChunkMax)
	query := `WITH levels AS (
			UPDATE stock_levels l SET available = l.available - a.units, reserved = l.reserved + a.units
			FROM (SELECT unnest($1::text[]) AS product_id, unnest($2::text[]) AS location_id, unnest($3::int[]) AS units, unnest($4::int[]) AS floor,
				unnest($5::bigint[]) AS settings_revision, unnest($6::bigint[]) AS version, unnest($7::int[]) AS available, unnest($8::int[]) AS reserved,
				unnest($9::int[]) AS place, unnest($10::int[]) AS size) a
			WHERE l.product_id = a.product_id AND l.location_id = a.location_id
				AND l.available >= a.floor + a.units AND l.reserved <= ` + quantityMax + ` - a.units
			RETURNING l.*, a.settings_revision, a.version AS expected_version, a.available AS expected_available, a.reserved AS expected_reserved,
				a.place, a.size),
		updated AS (
			UPDATE products p SET version = p.version + 1 FROM levels l
			WHERE p.product_id = l.product_id AND p.settings_revision = l.settings_revision AND (SELECT count(*) FROM levels) = cardinality($1::text[])
			RETURNING l.*, p.version),
		clock AS MATERIALIZED (
			SELECT clock_timestamp() AS now, pg_current_xact_id()::text::bigint AS txid,
				onhand_expect(m.n = cardinality($1::text[]) AND clock_timestamp() < ` + nowSQL + ` + interval '` + ledger.ChunkDelayMax.String() + `')
			FROM (SELECT count(*) AS n FROM updated) m),
		queued AS (
			INSERT INTO outbox (product_id, version) SELECT product_id, version FROM updated),`
	if rows {
		query += `
		new_rows AS (
			INSERT INTO ledger_rows (product_id, location_id,
				available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta, incoming_delta,
				available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after,
				reason, reservation_id, version, created_at, txid)
			SELECT m.product_id, m.location_id, -($11::int[])[i], ($11::int[])[i], 0, 0, 0, 0, 0,
				m.available + ($12::int[])[i] - ($11::int[])[i], m.reserved - ($12::int[])[i] + ($11::int[])[i],
				m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming,
				'RESERVED', substr($13::bytea, 16 * i - 15, 16), m.version, c.now, c.txid
			FROM clock c CROSS JOIN updated m CROSS JOIN generate_series(m.place, m.place + m.size - 1) i WHERE m.size < ` + chunkMin + `),`
	}
	if chunks { // nextval takes as many ids as a chunk may have
		query += `
		new_chunks AS (
			INSERT INTO ledger_chunks (first_id, product_id, location_id, size, total, quantities, reservations,
				available, reserved, committed, damaged, quality_control, safety_stock, incoming, version, created_at, txid)
			SELECT nextval('movement_sequence'), m.product_id, m.location_id, n,
				($12::int[])[i] - CASE WHEN i + n < m.place + m.size THEN ($12::int[])[i + n] ELSE 0 END,
				($11::int[])[i : i + n - 1], substr($13::bytea, 16 * i - 15, 16 * n),
				m.available + ($12::int[])[i], m.reserved - ($12::int[])[i],
				m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming, m.version, c.now, c.txid
			FROM clock c CROSS JOIN updated m CROSS JOIN generate_series(m.place, m.place + m.size - 1, ` + chunkMax + `) i
				CROSS JOIN least(` + chunkMax + `, m.place + m.size - i) n WHERE m.size >= ` + chunkMin + `),`
	}
	return strings.TrimSuffix(query, ",") + `
		SELECT c.now, m.product_id, m.version, m.available, m.reserved, m.committed, m.damaged, m.quality_control, m.safety_stock, m.incoming
		FROM clock c LEFT JOIN updated m
			ON m.version <> m.expected_version OR m.available <> m.expected_available OR m.reserved <> m.expected_reserved`
}

// beginConditionalSQL begins a conditional decrement and sets its time, onhand.now, in
// a form that Postgres reads under every DateStyle.
const beginConditionalSQL = `SELECT set_config('onhand.writer', 'ledger_versions_outbox', true), set_config('lock_timeout', $1, true),
	set_config('onhand.now', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US+00'), true)::timestamptz`

// expectSameSQL ends the transaction if the epoch or the directory has changed, or if
// some key may not be used any more.
const expectSameSQL = `SELECT onhand_expect(epoch = $1 AND directory_version = $2 AND coalesce(clock_timestamp() <= $3::timestamptz, true)) FROM onhand_meta`

// commitConditional commits a batch by conditional decrement. It inserts the
// reservations first, because no other transaction waits for these rows. So it keeps the
// levels locked for a shorter time. The reservations' time is a little before the time of
// the stock change.
func (t *transaction) commitConditional(ctx context.Context, batch *optimistic.ReservationBatch) (c optimistic.CommitResult, err error) {
	query, args := conditionalArgs(batch)
	t.skipBegin()
	err = t.pipeline(ctx, func(b *pgx.Batch) {
		holdersql.QueueWithin(b, batch.Held, t.lockWaitText())
		b.Queue(beginConditionalSQL, t.lockWaitText()).QueryRow(func(r pgx.Row) error {
			var at dialect.Instant
			err := r.Scan(nil, nil, &at)
			c.CreatedAt = at.Time
			return err
		})
		b.Queue(insertNewReservationsSQL, batch.Rows.Args()...)
		if len(batch.Levels) > 1 { // without it the statement updates products in any order, and two batches could deadlock
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
		holdersql.QueuePurchasesWithin(b, batch.Purchases, true)
		// Last, with all locks taken.
		b.Queue(expectSameSQL, batch.Unit.Epoch, batch.Unit.Directory, batch.NotAfter)
	})
	return c, err
}

// conditionalArgs is the statement for the movements of a closed batch, with its $1 to
// $13.
func conditionalArgs(batch *optimistic.ReservationBatch) (query string, args []any) {
	n, movements := len(batch.Levels), 0
	for _, l := range batch.Movements.Order {
		movements += len(l.Quantities)
	}
	products, locations, units, floors := textColumn(n, idSize), textColumn(n, idSize), intColumn(n), intColumn(n)
	revisions, versions := longColumn(n), longColumn(n)
	available, reserved, places, sizes := intColumn(n), intColumn(n), intColumn(n), intColumn(n)
	quantities, sums, keys := intColumn(movements), intColumn(movements), make([]byte, 0, 16*movements)
	rows, chunks, next := false, false, 0
	for i := range batch.Levels {
		for batch.Expected[next].ID != batch.Levels[i].ProductID { // both are in order; some products give no units
			next++
		}
		l, x := &batch.Levels[i], &batch.Expected[next]
		moved := batch.Movements.Levels[decide.LevelID{Product: l.ProductID, Location: l.LocationID}]
		products.text(l.ProductID)
		locations.text(l.LocationID)
		units.int(l.Taken)
		floors.int(x.Floor)
		revisions.long(x.SettingsRevision)
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
		rows, chunks = rows || len(moved.Quantities) < ledger.ChunkMin, chunks || len(moved.Quantities) >= ledger.ChunkMin
	}
	statement := conditionalBothSQL
	switch {
	case !chunks:
		statement = conditionalRowsSQL
	case !rows:
		statement = conditionalChunksSQL
	}
	return statement, []any{products, locations, units, floors, revisions, versions, available, reserved, places, sizes, quantities, sums, keys}
}

// foundRow is a row of the answer of conditionalSQL: a level that another instance had
// changed too, or, where there is none, the time alone. Its states are in the order of
// quantityColumns.
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
