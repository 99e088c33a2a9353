package database

import (
	"context"
	"encoding/json"
	"time"

	"onhand/models"
)

// ReadStockAsOf reads a product's levels as they were at a moment: of each, the
// last row of the ledger that had been written. Before the first movement there
// are none. Settings, and which locations are active, are today's. Version is
// that of the last movement, 0 before the first; nil means an unknown product.
//
// It reads the product's ledger up to then, by its primary key.
//
// Errors: bad input for a moment that has not come, to the millisecond.
func (d *Database) ReadStockAsOf(ctx context.Context, productID string, at time.Time) (*models.Stock, error) {
	today, err := d.ReadStocks(ctx, []string{productID})
	if err != nil || len(today.Stocks) == 0 {
		return nil, err
	}
	stock := *today.Stocks[0]
	if at.Truncate(time.Millisecond).After(stock.AsOf) {
		return nil, models.BadInput("asOf must not be in the future")
	}
	db, cancel := d.reading(ctx)
	defer cancel()
	r, err := db.Raw(`SELECT m.product_id, m.location_id, m.available_after, m.reserved_after, m.committed_after, m.damaged_after,
			m.quality_control_after, m.safety_stock_after, m.incoming_after, coalesce(c.active, false), coalesce(c.priority, 0), m.version
		FROM (SELECT product_id, location_id, `+perState("$_after", ", ")+`, version,
				row_number() OVER (PARTITION BY location_id ORDER BY movement_id DESC) AS newest
			FROM `+d.engine.entries()+` n WHERE product_id = ? AND created_at <= ?) m
		LEFT JOIN locations c ON c.location_id = m.location_id
		WHERE m.newest = 1 ORDER BY c.priority, m.location_id`, productID, d.engine.moment(at)).Rows()
	if err != nil {
		return nil, d.fault(err)
	}
	defer r.Close()
	stock.Levels, stock.Version, stock.AsOf = nil, 0, at
	err = each(r, func(r rows) (*models.Level, error) {
		var version int64
		level, err := scanLevel(trailing{r, []any{&version}})
		stock.Version = max(stock.Version, version)
		return level, err
	}, func(l *models.Level) { stock.Levels = append(stock.Levels, *l) })
	return &stock, d.fault(err)
}

// Place names a product right after one of its movements.
type Place struct {
	ProductID  string `json:"product_id"`
	MovementID int64  `json:"id"`
	Number     int    `json:"n"` // its index; set by ReadStocksAfter
}

// ReadStocksAfter reads products as they were right after a movement: the
// levels of today without what the ledger says came later. Settings are
// today's. Unknown products are nil.
func (d *Database) ReadStocksAfter(ctx context.Context, places []Place) ([]*models.Stock, error) {
	ids := make(map[string]bool, len(places))
	for i := range places {
		places[i].Number = i
		ids[places[i].ProductID] = true
	}
	today, err := d.ReadStocks(ctx, sortedKeys(ids))
	if err != nil {
		return nil, err
	}
	known := make(map[string]*models.Stock, len(today.Stocks))
	for _, s := range today.Stocks {
		known[s.ProductID] = s
	}
	stocks := make([]*models.Stock, len(places))
	for i, p := range places {
		if s := known[p.ProductID]; s != nil {
			past := *s
			past.Levels = nil
			stocks[i] = &past
		}
	}
	raw, _ := json.Marshal(places) // plain structs; cannot fail
	db, cancel := d.reading(ctx)
	defer cancel()
	r, err := db.Raw(levelsAfter(d.engine), string(raw)).Rows()
	if err != nil {
		return nil, d.fault(err)
	}
	defer r.Close()
	err = each(r, func(r rows) (*models.Level, error) {
		var n int
		level, err := scanLevel(leading{r, &n})
		if err == nil && stocks[n] != nil {
			stocks[n].Levels = append(stocks[n].Levels, *level)
		}
		return level, err
	}, func(*models.Level) {})
	return stocks, d.fault(err)
}

func levelsAfter(e engine) string {
	return `WITH a AS (SELECT n, product_id, id FROM ` + e.places() + `)
	SELECT a.n, a.product_id, s.location_id, s.available, s.reserved, s.committed, s.damaged, s.quality_control, s.safety_stock, s.incoming,
		coalesce(c.active, false), coalesce(c.priority, 0)
	FROM a JOIN (
		SELECT n, location_id, sum(available) AS available, sum(reserved) AS reserved, sum(committed) AS committed, sum(damaged) AS damaged,
			sum(quality_control) AS quality_control, sum(safety_stock) AS safety_stock, sum(incoming) AS incoming
		FROM (
			SELECT a.n, l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming
			FROM a JOIN stock_levels l ON l.product_id = a.product_id
			UNION ALL
			SELECT a.n, m.location_id, -m.available_delta, -m.reserved_delta, -m.committed_delta, -m.damaged_delta,
				-m.quality_control_delta, -m.safety_stock_delta, -m.incoming_delta
			FROM a JOIN ` + e.entries() + ` m ON m.product_id = a.product_id AND m.movement_id > a.id
			` + e.packedAfter() + `
		) t GROUP BY n, location_id
	) s ON s.n = a.n LEFT JOIN locations c ON c.location_id = s.location_id
	ORDER BY a.n, c.priority, s.location_id`
}
