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
	var ids, products, claims [][2]string
	for _, h := range set.Holders {
		ids = append(ids, [2]string{h, ""})
	}
	for _, id := range set.IDs {
		ids = append(ids, [2]string{string(id.Holder), id.Product})
	}
	for _, p := range set.Products {
		products = append(products, [2]string{hex.EncodeToString(p.Reservation[:]), p.Product})
	}
	for _, c := range set.Claims {
		claims = append(claims, [2]string{hex.EncodeToString(c.Reservation[:]), c.Holder})
	}
	return queryRows(ctx, tx, dialect.ScanHolding, u.Holdings.Add, holdingsSQL, jsonPairs(ids), jsonPairs(products), jsonPairs(claims))
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
