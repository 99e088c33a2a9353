package dialect

import (
	"onhand/models"
	"onhand/models/channel"
)

// StockSelect is the statement that reads products with their levels, so that versions
// and quantities belong together. An unknown id gives a row with only epoch and clock.
func StockSelect(f *Fragments) string {
	return `SELECT m.epoch, ` + f.Now + `, i.product_id, p.version, p.title, p.tracked, p.inventory_policy,
		p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.max_per_owner, p.owner_period, p.next_restock_at, p.channel_buffers,
		l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming,
		c.active, c.priority
	FROM onhand_meta m CROSS JOIN ` + f.IDs + ` i
	LEFT JOIN products p ON p.product_id = i.product_id
	LEFT JOIN stock_levels l ON l.product_id = p.product_id
	LEFT JOIN locations c ON c.location_id = l.location_id
	ORDER BY i.product_id, c.priority, c.location_id`
}

// StockLevelRow is one row of [StockSelect]: all but the first three columns may be
// null.
type StockLevelRow struct {
	epoch         string
	now           Instant
	ProductID     string
	version       *int64
	title         *string
	tracked       *bool
	policy        *models.InventoryPolicy
	backorder     *int
	lowStock      *int
	maxPer        *int
	maxOwner      *int
	ownerPeriod   *int
	restock       Instant
	bufferText    *string
	buffers       channel.Buffers
	locationID    *string
	q             [7]*int
	active        *bool
	priority      *int
	knownProduct  bool
	KnownLocation bool
}

// ScanStockLevel scans a row of StockSelect.
func ScanStockLevel(r Rows) (*StockLevelRow, error) {
	var s StockLevelRow
	err := r.Scan(&s.epoch, &s.now, &s.ProductID, &s.version, &s.title, &s.tracked, &s.policy, &s.backorder,
		&s.lowStock, &s.maxPer, &s.maxOwner, &s.ownerPeriod, &s.restock, &s.bufferText, &s.locationID, &s.q[0], &s.q[1], &s.q[2], &s.q[3], &s.q[4], &s.q[5], &s.q[6],
		&s.active, &s.priority)
	s.knownProduct, s.KnownLocation = s.version != nil, s.locationID != nil
	if err == nil {
		s.buffers, err = channel.Decode(s.bufferText)
	}
	return &s, err
}

// Stock is the row's product, without levels.
func (s *StockLevelRow) Stock() *models.Stock {
	return &models.Stock{
		Product: models.Product{
			ProductID: s.ProductID, Title: s.title, Tracked: *s.tracked, InventoryPolicy: *s.policy,
			BackorderLimit: s.backorder, LowStockThreshold: *s.lowStock, MaxPerReservation: s.maxPer,
			MaxPerOwner: s.maxOwner, OwnerPeriod: s.ownerPeriod,
			NextRestockAt: s.restock.Pointer(), Buffers: s.buffers, Version: *s.version,
		},
		Epoch: s.epoch, AsOf: s.now.Time, Source: models.FromDatabase,
	}
}

// Level is the row's level.
func (s *StockLevelRow) Level() models.Level {
	return models.Level{
		ProductID: s.ProductID, LocationID: *s.locationID, Active: *s.active, Priority: *s.priority,
		Quantities: models.Quantities{
			Available: *s.q[0], Reserved: *s.q[1], Committed: *s.q[2], Damaged: *s.q[3],
			QualityControl: *s.q[4], SafetyStock: *s.q[5], Incoming: *s.q[6],
		},
	}
}

// CollectStocks assembles the rows of StockSelect: known products in id order, and the
// epoch that they belong to.
func CollectStocks(r Rows) (stocks []*models.Stock, epoch string, err error) {
	err = Each(r, ScanStockLevel, func(row *StockLevelRow) {
		epoch = row.epoch
		if !row.knownProduct {
			return
		}
		if n := len(stocks); n == 0 || stocks[n-1].ProductID != row.ProductID {
			stocks = append(stocks, row.Stock())
		}
		if row.KnownLocation {
			s := stocks[len(stocks)-1]
			s.Levels = append(s.Levels, row.Level())
		}
	})
	return stocks, epoch, err
}
