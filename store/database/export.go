package database

import (
	"context"
	"database/sql"

	"onhand/models"
	"onhand/store/database/dialect"
)

// exportSelect reads all products with their levels in id order, as stockSelect
// reads some. Levels of one product come in any order.
func exportSelect(f *dialect.Fragments) string {
	return `SELECT m.epoch, ` + f.Now + `, p.product_id, p.version, p.title, p.tracked, p.inventory_policy,
		p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.next_restock_at,
		l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming,
		c.active, c.priority
	FROM products p CROSS JOIN onhand_meta m
	LEFT JOIN stock_levels l ON l.product_id = p.product_id
	LEFT JOIN locations c ON c.location_id = l.location_id
	ORDER BY p.product_id`
}

// EachStock hands out all locations, by priority and id, and the number of
// products, then every product's stock in id order, all as of one moment. It keeps one product in memory.
func (d *Database) EachStock(ctx context.Context, begin func([]models.Location, int) error, each func(*models.Stock) error) error {
	ctx, waiting, done := dialect.WithWatchdog(ctx, d.Quiet)
	defer done()
	return dialect.WatchdogError(ctx, d.eachStock(ctx, waiting, begin, each))
}

func (d *Database) eachStock(ctx context.Context, waiting *dialect.Watchdog, begin func([]models.Location, int) error, each func(*models.Stock) error) error {
	tx, err := d.SQL.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: d.Fragments.Snapshot})
	if err != nil {
		return d.Fault(err)
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	locations, err := allLocations(ctx, tx)
	if err != nil {
		return d.Fault(err)
	}
	var products int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM products").Scan(&products); err != nil {
		return d.Fault(err)
	}
	if err := waiting.Suspend(func() error { return begin(locations, products) }); err != nil {
		return err
	}
	r, err := tx.QueryContext(ctx, exportSelect(d.Fragments))
	if err != nil {
		return d.Fault(err)
	}
	defer r.Close()
	var stock *models.Stock
	for r.Next() {
		row, err := dialect.ScanStockLevel(r)
		if err != nil {
			return d.Fault(err)
		}
		waiting.Reset()
		if stock == nil || stock.ProductID != row.ProductID {
			if stock != nil {
				if err := waiting.Suspend(func() error { return each(stock) }); err != nil {
					return err
				}
			}
			stock = row.Stock()
		}
		if row.KnownLocation {
			stock.Levels = append(stock.Levels, row.Level())
		}
	}
	if err := r.Err(); err != nil {
		return d.Fault(err)
	}
	if stock != nil {
		return each(stock)
	}
	return nil
}

func allLocations(ctx context.Context, tx *sql.Tx) (locations []models.Location, err error) {
	r, err := tx.QueryContext(ctx, "SELECT location_id, name, priority, active, pickup FROM locations ORDER BY priority, location_id")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	err = dialect.Each(r, dialect.ScanLocation, func(l models.Location) { locations = append(locations, l) })
	return locations, err
}
