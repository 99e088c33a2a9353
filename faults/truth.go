package faults

import (
	"context"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/models"
	"onhand/models/stockjson"
)

// lookLimit bounds one look of the checks into Postgres or Redis.
const lookLimit = 10 * time.Second

// truth is what the database says of a product.
type truth struct {
	Version int64
	Shelf
	Level models.Quantities
}

// truths reads all products of the scenario in one statement.
func (s *Scene) truths(ctx context.Context) (map[string]truth, string, error) {
	rows, err := s.pool.Query(ctx, `SELECT p.product_id, p.version, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming,
		(SELECT epoch FROM onhand_meta) FROM products p JOIN stock_levels l USING (product_id) WHERE l.location_id = $1 AND p.product_id = ANY ($2)`, place, s.products)
	if err != nil {
		return nil, "", err
	}
	found, epoch, id := map[string]truth{}, "", ""
	var t truth
	q := &t.Level
	_, err = pgx.ForEachRow(rows, []any{&id, &t.Version, &q.Available, &q.Reserved, &q.Committed, &q.Damaged, &q.QualityControl, &q.SafetyStock, &q.Incoming, &epoch}, func() error {
		t.Shelf = Shelf{q.Available, q.Reserved, q.Committed}
		found[id] = t
		return nil
	})
	return found, epoch, err
}

// cached is what Redis says of a product; nil where it has nothing to be believed.
func (s *Scene) cached(ctx context.Context, epoch string) (map[string]*truth, error) {
	found := map[string]*truth{}
	for _, product := range s.products {
		hash, err := s.redis.HGetAll(ctx, "inventory:"+product).Result()
		if err != nil {
			return nil, err
		}
		if hash["version"] == "" || hash["epoch"] != epoch {
			continue
		}
		t := truth{}
		if t.Version, err = strconv.ParseInt(hash["version"], 10, 64); err != nil {
			return nil, err
		}
		levels, err := stockjson.DecodeLevels(product, []byte(hash["levels"]))
		if err != nil {
			return nil, err
		}
		for _, l := range levels {
			if l.LocationID == place {
				t.Level = l.Quantities
			}
		}
		t.Shelf = Shelf{t.Level.Available, t.Level.Reserved, t.Level.Committed}
		if hash["quantity"] != strconv.Itoa(t.Level.Available) {
			return nil, fmt.Errorf("%s: quantity is %s, and its levels say %d", product, hash["quantity"], t.Level.Available)
		}
		found[product] = &t
	}
	return found, nil
}

// row is a reservation as the database has it.
type row struct {
	id, owner, state   string
	created, expiresAt time.Time
	resolved           time.Time // when the ledger says that it was released, expired or committed; zero while live
	live               bool      // counts as reserved
	expired            bool      // is past its time on the database's clock, or was ended for it
}

// hold is the number of the hold that it is; 0 for none of ours.
func (r row) hold() int {
	number, err := strconv.Atoi(strings.TrimPrefix(r.owner, ownerPrefix))
	if err != nil || !strings.HasPrefix(r.owner, ownerPrefix) {
		return 0
	}
	return number
}

// rows reads all reservations.
func (s *Scene) rows(ctx context.Context) ([]row, error) {
	result, err := s.pool.Query(ctx, `SELECT r.reservation_id, owner_ref, state, r.created_at, expires_at,
			coalesce(m.at, 'epoch'), state = 'ACTIVE' AND expires_at > clock_timestamp(), state = 'EXPIRED' OR state = 'ACTIVE' AND expires_at <= clock_timestamp()
		FROM reservations r LEFT JOIN (SELECT reservation_id, min(created_at) AS at FROM stock_movements
			WHERE reason IN ('RELEASED', 'EXPIRED', 'COMMITTED') AND reservation_id IS NOT NULL GROUP BY 1) m USING (reservation_id)`)
	if err != nil {
		return nil, err
	}
	var list []row
	var r row
	var key []byte
	_, err = pgx.ForEachRow(result, []any{&key, &r.owner, &r.state, &r.created, &r.expiresAt, &r.resolved, &r.live, &r.expired}, func() error {
		r.id = "res_" + hex.EncodeToString(key)
		list = append(list, r)
		return nil
	})
	return list, err
}

// lines runs a statement that lists what is wrong, a text each.
func lines(ctx context.Context, q querier, statement string, args ...any) ([]string, error) {
	rows, err := q.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
