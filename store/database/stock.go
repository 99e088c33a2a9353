package database

import (
	"context"
	"time"

	"gorm.io/gorm"

	"onhand/models"
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
// movement there are none. Settings, and which locations are active, are today's.
// Version is that of the last movement, 0 before the first; nil means an unknown
// product.
//
// Errors: bad input for a moment that is still to come, to the millisecond.
func (d *Database) ReadStockAsOf(ctx context.Context, productID string, at time.Time) (*models.Stock, error) {
	today, err := d.ReadStocks(ctx, []string{productID})
	if err != nil || len(today.Stocks) == 0 {
		return nil, err
	}
	if at.Truncate(time.Millisecond).After(today.Stocks[0].AsOf) {
		return nil, models.BadInput("asOf must not be in the future")
	}
	return d.StockAsOf(ctx, today.Stocks[0], at)
}

// ReadStocksAfter reads products as they were right after a movement. Settings are
// today's. Unknown products are nil.
func (d *Database) ReadStocksAfter(ctx context.Context, places []Place) ([]*models.Stock, error) {
	ids := make(map[string]bool, len(places))
	for _, p := range places {
		ids[p.ProductID] = true
	}
	today, err := d.ReadStocks(ctx, decide.SortedKeys(ids))
	if err != nil {
		return nil, err
	}
	return d.StocksAfter(ctx, today.Stocks, places)
}
