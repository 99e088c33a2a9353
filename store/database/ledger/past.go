package ledger

import (
	"context"
	"encoding/json"
	"time"

	"onhand/models"
	"onhand/store/database/dialect"
)

// StockAsOf is today's stock of a product as it was at a moment: of each level, the
// last ledger entry that had been written. It reads the product's ledger up to then,
// by its primary key.
func (l *Ledger) StockAsOf(ctx context.Context, today *models.Stock, at time.Time) (*models.Stock, error) {
	stock := *today
	db, cancel := l.ReadSession(ctx)
	defer cancel()
	r, err := db.Raw(`SELECT m.product_id, m.location_id, m.available_after, m.reserved_after, m.committed_after, m.damaged_after,
			m.quality_control_after, m.safety_stock_after, m.incoming_after, coalesce(c.active, false), coalesce(c.priority, 0)
		FROM (SELECT product_id, location_id, `+dialect.PerState("$_after", ", ")+`,
				row_number() OVER (PARTITION BY location_id ORDER BY movement_id DESC) AS newest
			FROM `+l.Fragments.LedgerEntries+` n WHERE product_id = ? AND created_at <= ?) m
		LEFT JOIN locations c ON c.location_id = m.location_id
		WHERE m.newest = 1 ORDER BY c.priority, m.location_id`, stock.ProductID, l.Fragments.Moment(at)).Rows()
	if err != nil {
		return nil, l.Fault(err)
	}
	defer r.Close()
	stock.Levels, stock.AsOf = nil, at
	err = dialect.Each(r, dialect.ScanLevel, func(level *models.Level) { stock.Levels = append(stock.Levels, *level) })
	return &stock, l.Fault(err)
}

// MovementRef names a product right after one of its movements.
type MovementRef struct {
	ProductID  string `json:"product_id"`
	MovementID int64  `json:"id"`
	Number     int    `json:"n"` // its index; set by StocksAfter
}

// StocksAfter is today's stock of products as it was right after a movement: the
// levels of today without what the ledger says came later. It returns a stock for
// each of them, nil where today has none.
func (l *Ledger) StocksAfter(ctx context.Context, today []*models.Stock, refs []MovementRef) ([]*models.Stock, error) {
	known := make(map[string]*models.Stock, len(today))
	for _, s := range today {
		known[s.ProductID] = s
	}
	stocks := make([]*models.Stock, len(refs))
	for i := range refs {
		refs[i].Number = i
		if s := known[refs[i].ProductID]; s != nil {
			past := *s
			past.Levels = nil
			stocks[i] = &past
		}
	}
	raw, _ := json.Marshal(refs) // plain structs; cannot fail
	db, cancel := l.ReadSession(ctx)
	defer cancel()
	r, err := db.Raw(levelsAfter(l.Fragments), string(raw)).Rows()
	if err != nil {
		return nil, l.Fault(err)
	}
	defer r.Close()
	err = dialect.Each(r, func(r dialect.Rows) (*models.Level, error) {
		var n int
		level, err := dialect.ScanLevel(dialect.Leading{Rows: r, First: &n})
		if err == nil && stocks[n] != nil {
			stocks[n].Levels = append(stocks[n].Levels, *level)
		}
		return level, err
	}, func(*models.Level) {})
	return stocks, l.Fault(err)
}

func levelsAfter(f *dialect.Fragments) string {
	return `WITH a AS (SELECT n, product_id, id FROM ` + f.MovementRefs + `)
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
			FROM a JOIN ` + f.LedgerEntries + ` m ON m.product_id = a.product_id AND m.movement_id > a.id
			` + f.ChunksAfter + `
		) t GROUP BY n, location_id
	) s ON s.n = a.n LEFT JOIN locations c ON c.location_id = s.location_id
	ORDER BY a.n, c.priority, s.location_id`
}
