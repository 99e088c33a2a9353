package holdersql

import (
	"github.com/jackc/pgx/v5"

	"onhand/store/database/decide/holderusage"
	"onhand/store/database/dialect"
)

const (
	// A holder without a row gets one, so that there is something to lock.
	makeSQL = `INSERT INTO holdings (holder, product_id, units)
		SELECT holder, '', 0 FROM (
			SELECT unnest($1::text[]) COLLATE "C" AS holder
			UNION SELECT holder COLLATE "C" FROM reservations WHERE reservation_id = ANY ($2) AND holder <> '') k
		ORDER BY holder ON CONFLICT DO NOTHING`

	// The holders of reservations that are not counted, and stay so, are left out.
	lockSQL = `SELECT h.holder, h.product_id, h.units FROM (
			SELECT unnest($1::text[]) COLLATE "C" AS holder
			UNION SELECT holder COLLATE "C" FROM reservations WHERE reservation_id = ANY ($2) AND (counted OR reservation_id = ANY ($3)) AND holder <> '') k
		JOIN holdings h ON h.holder = k.holder AND h.product_id = '' ORDER BY h.holder FOR UPDATE OF h`

	holdingsSQL = `SELECT h.holder, h.product_id, h.units FROM (
			SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id
			UNION SELECT r.holder COLLATE "C", v.product_id COLLATE "C" FROM (SELECT unnest($3::bytea[]) AS reservation_id, unnest($4::text[]) AS product_id) v
				JOIN reservations r ON r.reservation_id = v.reservation_id
			UNION SELECT v.holder COLLATE "C", (line->>'productId') COLLATE "C" FROM (SELECT unnest($5::bytea[]) AS reservation_id, unnest($6::text[]) AS holder) v
				JOIN reservations r ON r.reservation_id = v.reservation_id, json_array_elements(r.lines) AS line) k
		JOIN holdings h ON h.holder = k.holder AND h.product_id = k.product_id`

	addSQL = `INSERT INTO holdings AS h (holder, product_id, units)
		SELECT * FROM (SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id, unnest($3::int[])) v ORDER BY holder, product_id
		ON CONFLICT (holder, product_id) DO UPDATE SET units = h.units + excluded.units`

	takeSQL = `UPDATE holdings h SET units = h.units + v.units
		FROM (SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id, unnest($3::int[]) AS units) v
		WHERE h.holder = v.holder AND h.product_id = v.product_id`

	deleteSQL = `DELETE FROM holdings h USING (SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id) v
		WHERE h.holder = v.holder AND h.product_id = v.product_id AND h.units = 0`

	// Adds to holdings, and ends the transaction if one is above its limit then.
	addWithinSQL = `WITH v AS MATERIALIZED (
			SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id, unnest($3::int[]) AS units, unnest($4::int[]) AS most),
		added AS (
			INSERT INTO holdings AS h (holder, product_id, units) SELECT holder, product_id, units FROM v ORDER BY holder, product_id
			ON CONFLICT (holder, product_id) DO UPDATE SET units = h.units + excluded.units
			RETURNING h.holder, h.product_id, h.units)
		SELECT onhand_expect(bool_and(a.units <= v.most)) FROM added a JOIN v ON v.holder = a.holder AND v.product_id = a.product_id`

	lockTimeoutSQL = `SELECT set_config('lock_timeout', $1, true)`

	uncountedSQL = `SELECT holder FROM reservations WHERE state = 'ACTIVE' AND NOT counted AND holder <> '' AND expires_at > (SELECT clock_timestamp()) LIMIT $1`
)

// QueueLocks locks the holders of a batch.
func QueueLocks(b *pgx.Batch, held *holderusage.Holdings, set *holderusage.NeededHoldings, reservations [][]byte) {
	changed := keys(set.Changed)
	if len(set.Holders)+len(changed) > 0 {
		b.Queue(makeSQL, list(set.Holders), changed)
	}
	if len(set.Holders)+len(reservations) > 0 {
		b.Queue(lockSQL, list(set.Holders), reservations, changed).Query(func(r pgx.Rows) error { return lock(r, held) })
	}
}

// QueueHolders locks holders by name, in order.
func QueueHolders(b *pgx.Batch, held *holderusage.Holdings, holders []string) {
	if len(holders) > 0 {
		b.Queue(lockSQL, holders, [][]byte{}, [][]byte{}).Query(func(r pgx.Rows) error { return lock(r, held) })
	}
}

func lock(r pgx.Rows, held *holderusage.Holdings) error {
	return dialect.Each(r, dialect.ScanHolding, func(h holderusage.Holding) {
		held.Lock(h.Holder)
		held.Add(h)
	})
}

// QueueHoldings reads the holdings of products that a batch may take more of.
func QueueHoldings(b *pgx.Batch, held *holderusage.Holdings, set *holderusage.NeededHoldings) {
	if len(set.IDs)+len(set.Products)+len(set.Claims) == 0 {
		return
	}
	holders, products := names(set.IDs)
	reserved, more := reservedProducts(set.Products)
	claimed, claimants := claims(set.Claims)
	b.Queue(holdingsSQL, holders, products, reserved, more, claimed, claimants).Query(func(r pgx.Rows) error { return dialect.Each(r, dialect.ScanHolding, held.Add) })
}

// QueueChanges writes what has changed.
func QueueChanges(b *pgx.Batch, held *holderusage.Holdings) {
	changed, emptied := held.Changes()
	var add, take []holderusage.Holding
	for _, row := range changed {
		if row.Units > 0 {
			add = append(add, row)
		} else {
			take = append(take, row)
		}
	}
	if len(add) > 0 {
		b.Queue(addSQL, columns(add)...)
	}
	if len(take) > 0 {
		b.Queue(takeSQL, columns(take)...)
	}
	if len(emptied) > 0 {
		holders, products := names(emptied)
		b.Queue(deleteSQL, holders, products)
	}
}

// QueueWithin adds to holdings, in order. Its error is that of onhand_expect where one
// would be above its most.
func QueueWithin(b *pgx.Batch, rows []holderusage.Within, lockWait string) {
	if len(rows) == 0 {
		return
	}
	plain, most := make([]holderusage.Holding, len(rows)), make([]int32, len(rows))
	for i := range rows {
		plain[i], most[i] = rows[i].Holding, int32(rows[i].Most)
	}
	b.Queue(lockTimeoutSQL, lockWait)
	b.Queue(addWithinSQL, append(columns(plain), most)...)
}

// QueueUncounted reads the holders of active reservations that are not counted, at most limit.
func QueueUncounted(b *pgx.Batch, limit int, keep func(holder string)) {
	b.Queue(uncountedSQL, limit).Query(func(r pgx.Rows) error {
		var holder string
		_, err := pgx.ForEachRow(r, []any{&holder}, func() error { keep(holder); return nil })
		return err
	})
}

func columns(rows []holderusage.Holding) []any {
	ids, units := make([]holderusage.ID, len(rows)), make([]int32, len(rows))
	for i := range rows {
		ids[i], units[i] = rows[i].ID, int32(rows[i].Units)
	}
	holders, products := names(ids)
	return []any{holders, products, units}
}

func names(ids []holderusage.ID) (holders, products []string) {
	holders, products = make([]string, len(ids)), make([]string, len(ids))
	for i := range ids {
		holders[i], products[i] = string(ids[i].Holder), ids[i].Product
	}
	return holders, products
}

func reservedProducts(list []holderusage.ReservedProduct) (reservations [][]byte, products []string) {
	reservations, products = make([][]byte, len(list)), make([]string, len(list))
	for i := range list {
		reservations[i], products[i] = list[i].Reservation[:], list[i].Product
	}
	return reservations, products
}

func claims(list []holderusage.ClaimedReservation) (reservations [][]byte, holders []string) {
	reservations, holders = make([][]byte, len(list)), make([]string, len(list))
	for i := range list {
		reservations[i], holders[i] = list[i].Reservation[:], list[i].Holder
	}
	return reservations, holders
}

// list is never nil, which would be null.
func list(names []string) []string { return append([]string{}, names...) }

func keys(reservations [][16]byte) [][]byte {
	out := make([][]byte, len(reservations))
	for i := range reservations {
		out[i] = reservations[i][:]
	}
	return out
}
