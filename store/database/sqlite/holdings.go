package sqlite

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"

	"onhand/store/database/decide"
	"onhand/store/database/decide/holderusage"
	"onhand/store/database/dialect"
)

const (
	holdingsSQL = `SELECT h.holder, h.product_id, h.units FROM (
			SELECT value->>0 AS holder, value->>1 AS product_id FROM json_each(?1)
			UNION SELECT r.holder, v.value->>1 FROM json_each(?2) v JOIN reservations r ON r.reservation_id = unhex(v.value->>0)
			UNION SELECT v.value->>1, line.value->>'productId' FROM json_each(?3) v JOIN reservations r ON r.reservation_id = unhex(v.value->>0), json_each(r.lines) line
		) k JOIN holdings h ON h.holder = k.holder AND h.product_id = k.product_id`

	// The purchases of holders, of products that have a limit for each owner, without the
	// reservations in ?5. reservations_in_purchases has them by holder and time.
	purchasesSQL = `SELECT k.holder, k.product_id, sum(line.value->>'quantity' - coalesce(line.value->>'cancelled', 0)) FROM (
			SELECT value->>0 AS holder, value->>1 AS product_id FROM json_each(?1)
			UNION SELECT r.holder, v.value->>1 FROM json_each(?2) v JOIN reservations r ON r.reservation_id = unhex(v.value->>0)
			UNION SELECT v.value->>1, line.value->>'productId' FROM json_each(?3) v JOIN reservations r ON r.reservation_id = unhex(v.value->>0), json_each(r.lines) line
			UNION SELECT r.holder, line.value->>'productId' FROM json_each(?4) v JOIN reservations r ON r.reservation_id = unhex(v.value), json_each(r.lines) line) k
		JOIN products p ON p.product_id = k.product_id AND p.max_per_owner IS NOT NULL
		JOIN reservations r ON r.in_purchases AND r.state IN ('ACTIVE', 'COMMITTED', 'FULFILLED') AND r.holder = k.holder
			AND coalesce(r.ordered_at, 9223372036854775807) > ` + nowSQL + ` - coalesce(p.owner_period, 86400) * 1000000
			AND (r.state <> 'ACTIVE' OR r.expires_at > ` + nowSQL + `) AND hex(r.reservation_id) NOT IN (SELECT upper(value) FROM json_each(?5)),
		json_each(r.lines) line WHERE line.value->>'productId' = k.product_id
		GROUP BY k.holder, k.product_id`

	addHoldingSQL = `INSERT INTO holdings (holder, product_id, units) VALUES (?1, ?2, ?3)
		ON CONFLICT (holder, product_id) DO UPDATE SET units = units + excluded.units`
	takeHoldingSQL   = `UPDATE holdings SET units = units + ?3 WHERE holder = ?1 AND product_id = ?2`
	deleteHoldingSQL = `DELETE FROM holdings WHERE holder = ? AND product_id = ? AND units = 0`
)

// readHoldings reads what the writes of a batch need of holdings.
func readHoldings(ctx context.Context, tx *sql.Tx, u *decide.UnitOfWork, set *holderusage.NeededHoldings) error {
	if len(set.Holders)+len(set.Products) == 0 {
		return nil
	}
	var own [][2]string
	for _, h := range set.Holders {
		own = append(own, [2]string{h, ""})
	}
	return queryRows(ctx, tx, dialect.ScanHolding, u.Holdings.Add, holdingsSQL, jsonPairs(append(own, idPairs(set.IDs)...)), productPairs(set.Products), claimPairs(set.Claims))
}

// readPurchases reads what the writes of a batch need of purchases.
func readPurchases(ctx context.Context, tx *sql.Tx, u *decide.UnitOfWork, set *holderusage.NeededPurchases) error {
	if set.None() {
		return nil
	}
	return queryRows(ctx, tx, dialect.ScanHolding, u.Purchases.Add, purchasesSQL,
		jsonPairs(idPairs(set.IDs)), productPairs(set.Products), claimPairs(set.Claims), jsonHex(set.Reacquired), jsonHex(set.Own))
}

func idPairs(ids []holderusage.ID) (pairs [][2]string) {
	for _, id := range ids {
		pairs = append(pairs, [2]string{string(id.Holder), id.Product})
	}
	return pairs
}

func productPairs(products []holderusage.ReservedProduct) string {
	var pairs [][2]string
	for _, p := range products {
		pairs = append(pairs, [2]string{hex.EncodeToString(p.Reservation[:]), p.Product})
	}
	return jsonPairs(pairs)
}

func claimPairs(claims []holderusage.ClaimedReservation) string {
	var pairs [][2]string
	for _, c := range claims {
		pairs = append(pairs, [2]string{hex.EncodeToString(c.Reservation[:]), c.Holder})
	}
	return jsonPairs(pairs)
}

func jsonPairs(pairs [][2]string) string {
	if pairs == nil {
		return "[]"
	}
	raw, _ := json.Marshal(pairs) // strings; cannot fail
	return string(raw)
}

// holdings writes the changes of holdings.
func (w *writer) holdings(held *holderusage.Holdings) {
	changed, emptied := held.Changes()
	for _, row := range changed {
		query := addHoldingSQL
		if row.Units < 0 {
			query = takeHoldingSQL
		}
		w.exec(query, string(row.Holder), row.Product, row.Units)
	}
	for _, id := range emptied {
		w.exec(deleteHoldingSQL, string(id.Holder), id.Product)
	}
}
