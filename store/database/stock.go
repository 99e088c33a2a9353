package database

import (
	"context"
	"database/sql"
	"time"

	"gorm.io/gorm"

	"onhand/models"
	"onhand/models/history"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/ledger"
)

// Reading is the answer to ReadStocks, consistent as of one moment.
type Reading struct {
	Stocks []*models.Stock // known products, in id order
	Epoch  string          // that the versions belong to
}

// ReadStocks reads the stock of distinct products with one SELECT. It leaves out
// unknown products.
//
// Errors: UNAVAILABLE when the server does not answer within its deadline.
func (d *Database) ReadStocks(ctx context.Context, productIDs []string) (Reading, error) {
	db, cancel := d.ReadSession(ctx)
	defer cancel()
	d.reads.Add(1)
	return d.readStocks(db, productIDs)
}

// AuditStocks is ReadStocks for the audit: it has the audit's deadline and is not
// counted by Reads.
func (d *Database) AuditStocks(ctx context.Context, productIDs []string) (Reading, error) {
	ctx, cancel := context.WithTimeout(ctx, ledger.AuditTimeout)
	defer cancel()
	return d.readStocks(d.Gorm.WithContext(ctx), productIDs)
}

// rows gives whole rows to the pages.
type rows struct{ *Database }

// StocksOf implements [pages.RowReader]. A list has the deadline of a page for all of them.
func (r rows) StocksOf(ctx context.Context, productIDs []string) ([]*models.Stock, error) {
	found, err := r.ReadStocks(ctx, productIDs)
	return found.Stocks, err
}

func (d *Database) readStocks(db *gorm.DB, productIDs []string) (Reading, error) {
	rows, err := db.Raw(dialect.StockSelect(d.Fragments), dialect.JSONList(productIDs)).Rows()
	if err != nil {
		return Reading{}, d.Fault(err)
	}
	defer rows.Close()
	stocks, epoch, err := dialect.CollectStocks(rows)
	if err != nil {
		return Reading{}, d.Fault(err)
	}
	d.notice(epoch)
	return Reading{Stocks: stocks, Epoch: epoch}, nil
}

// ReadStockAsOf reads a product's levels as they were at a moment. Before the first
// movement there are no levels. Settings, which locations are active, and the version are
// today's: with the moment, the version says what the answer is. It returns nil for an
// unknown product.
//
// Errors: bad input for a moment in the future, compared in milliseconds, or before
// the year 1.
func (d *Database) ReadStockAsOf(ctx context.Context, productID string, at time.Time) (*models.Stock, error) {
	if at.UTC().Year() < 1 { // no id can name it
		return nil, models.BadInput("asOf must be in the years 1 to 9999")
	}
	today, err := d.ReadStocks(ctx, []string{productID})
	if err != nil || len(today.Stocks) == 0 {
		return nil, err
	}
	if at.Truncate(time.Millisecond).After(today.Stocks[0].AsOf) {
		return nil, models.BadInput("asOf must not be in the future")
	}
	return d.StockAsOf(ctx, today.Stocks[0], at)
}

// ReadHistories reads how the levels of distinct products changed; see
// [ledger.Ledger.Histories]. It leaves out unknown products.
//
// Errors: bad input for a request out of bounds.
func (d *Database) ReadHistories(ctx context.Context, request history.HistoryRequest) ([]*history.StockHistory, error) {
	if err := request.Check(); err != nil {
		return nil, err
	}
	today, err := d.ReadStocks(ctx, request.ProductIDs)
	if err != nil || len(today.Stocks) == 0 {
		return nil, err
	}
	moments, err := request.Moments(today.Stocks[0].AsOf)
	if err != nil {
		return nil, err
	}
	return d.Histories(ctx, today.Stocks, moments)
}

// ReadStocksAfter reads products as they were right after a movement. Settings are
// today's. Unknown products are nil.
func (d *Database) ReadStocksAfter(ctx context.Context, refs []MovementRef) ([]*models.Stock, error) {
	ids := make(map[string]bool, len(refs))
	for _, p := range refs {
		ids[p.ProductID] = true
	}
	today, err := d.ReadStocks(ctx, decide.SortedKeys(ids))
	if err != nil {
		return nil, err
	}
	return d.StocksAfter(ctx, today.Stocks, refs)
}

// exportSelect reads all products with their levels in id order, as
// [dialect.StockSelect] reads some. The levels of one product come in any order.
func exportSelect(f *dialect.Fragments) string {
	return `SELECT m.epoch, ` + f.Now + `, p.product_id, p.version, p.title, p.tracked, p.inventory_policy,
		p.backorder_limit, p.low_stock_threshold, p.max_per_reservation, p.max_per_owner, p.owner_period, p.next_restock_at, p.channel_buffers,
		l.location_id, l.available, l.reserved, l.committed, l.damaged, l.quality_control, l.safety_stock, l.incoming,
		c.active, c.priority
	FROM products p CROSS JOIN onhand_meta m
	LEFT JOIN stock_levels l ON l.product_id = p.product_id
	LEFT JOIN locations c ON c.location_id = l.location_id
	ORDER BY p.product_id`
}

// EachStock calls begin with all locations, by priority and id, and the number of
// products, and then each with every product's stock in id order, all as of one moment.
// It has one product in memory.
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
	// The rows may go into a pipe that is read later.
	if slow := d.Fragments.SlowReader; slow != "" {
		if _, err := tx.ExecContext(ctx, slow); err != nil {
			return d.Fault(err)
		}
	}
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
