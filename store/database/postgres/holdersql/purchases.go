package holdersql

import (
	"github.com/jackc/pgx/v5"

	"onhand/store/database/decide/holderusage"
	"onhand/store/database/dialect"
)

const (
	// The lines of the reservations that count against the limit of a product for each owner,
	// by the holder and the product of a row v and its period in seconds. OFFSET 0 has Postgres
	// look up each holder in reservations_in_purchases. A join would read what all holders have.
	countedLinesSQL = `CROSS JOIN LATERAL (
			SELECT r.reservation_id, r.lines FROM reservations r
			WHERE r.in_purchases AND r.state IN ('ACTIVE', 'COMMITTED', 'FULFILLED') AND r.holder = v.holder
				AND coalesce(r.ordered_at, 'infinity') > statement_timestamp() - v.seconds * interval '1 second'
				AND (r.state <> 'ACTIVE' OR r.expires_at > statement_timestamp()) OFFSET 0) r
		CROSS JOIN LATERAL json_array_elements(r.lines) AS line`
	unitsSQL = `sum((line->>'quantity')::int - coalesce((line->>'cancelled')::int, 0))`

	// PurchasesSQL reads the purchases of holders, of products that have a limit for each
	// owner, without the reservations in $8.
	PurchasesSQL = `SELECT v.holder, v.product_id, ` + unitsSQL + ` FROM (
			SELECT k.holder, k.product_id, coalesce(p.owner_period, 86400) AS seconds FROM (
				SELECT unnest($1::text[]) COLLATE "C" AS holder, unnest($2::text[]) COLLATE "C" AS product_id
				UNION SELECT r.holder COLLATE "C", v.product_id COLLATE "C" FROM (SELECT unnest($3::bytea[]) AS reservation_id, unnest($4::text[]) AS product_id) v
					JOIN reservations r ON r.reservation_id = v.reservation_id
				UNION SELECT v.holder COLLATE "C", (line->>'productId') COLLATE "C" FROM (SELECT unnest($5::bytea[]) AS reservation_id, unnest($6::text[]) AS holder) v
					JOIN reservations r ON r.reservation_id = v.reservation_id, json_array_elements(r.lines) AS line
				UNION SELECT r.holder COLLATE "C", (line->>'productId') COLLATE "C" FROM reservations r, json_array_elements(r.lines) AS line WHERE r.reservation_id = ANY ($7)) k
			JOIN products p ON p.product_id = k.product_id AND p.max_per_owner IS NOT NULL) v
		` + countedLinesSQL + ` WHERE line->>'productId' = v.product_id AND r.reservation_id <> ALL ($8)
		GROUP BY v.holder, v.product_id`

	// PurchasesWithinSQL ends the transaction if a purchase is above what it may be.
	PurchasesWithinSQL = `SELECT onhand_expect(coalesce(bool_and(units <= most), true)) FROM (
			SELECT v.most, ` + unitsSQL + ` AS units
			FROM (SELECT unnest($1::text[]) AS holder, unnest($2::text[]) AS product_id, unnest($3::int[]) AS most, unnest($4::int[]) AS seconds) v
			` + countedLinesSQL + ` WHERE line->>'productId' = v.product_id
			GROUP BY v.holder, v.product_id, v.most) bought`
)

// QueuePurchases reads the purchases that a batch needs. The rows of their products are
// locked, so the statement sees all that committed.
func QueuePurchases(b *pgx.Batch, p *holderusage.Purchases, set *holderusage.NeededPurchases) {
	if set.None() {
		return
	}
	holders, products := names(set.IDs)
	reserved, more := reservedProducts(set.Products)
	claimed, claimants := claims(set.Claims)
	b.Queue(PurchasesSQL, holders, products, reserved, more, claimed, claimants, keys(set.Reacquired), keys(set.Own)).Query(func(r pgx.Rows) error {
		return dialect.Each(r, dialect.ScanHolding, p.Add)
	})
}

// QueuePurchasesWithin checks what a batch adds to purchases, with the rows of the products
// locked. inserted: its reservations are in the table. Its error is that of onhand_expect
// where a purchase is above the limit.
func QueuePurchasesWithin(b *pgx.Batch, rows []holderusage.PurchaseWithin, inserted bool) {
	if len(rows) == 0 {
		return
	}
	ids, most, seconds := make([]holderusage.ID, len(rows)), make([]int32, len(rows)), make([]int32, len(rows))
	for i, row := range rows {
		ids[i], most[i], seconds[i] = row.ID, int32(row.Limit), int32(row.Seconds)
		if !inserted {
			most[i] -= int32(row.Units)
		}
	}
	holders, products := names(ids)
	b.Queue(PurchasesWithinSQL, holders, products, most, seconds)
}
