package graph

import (
	"context"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/loaders"
	"onhand/models"
)

// members are the locations of a channel; nil for no channel.
func (r *Resolver) members(channel *string) (map[string]bool, error) {
	if channel == nil {
		return nil, nil
	}
	members, ok := r.Store.Directory().Channel(*channel)
	if !ok {
		return nil, models.BadInput("no channel %q", *channel)
	}
	return members, nil
}

// narrowed is a stock as one channel sees it.
func narrowed(stock *models.Stock, members map[string]bool) *models.Stock {
	if stock == nil || members == nil {
		return stock
	}
	return stock.In(members)
}

// stocksOf loads stocks as one channel sees them, nil for unknown products.
func (r *Resolver) stocksOf(ctx context.Context, ids []string, channel *string) ([]*models.Stock, error) {
	members, err := r.members(channel)
	if err != nil {
		return nil, err
	}
	stocks, err := loaders.Of(ctx).Stocks(ctx, ids)
	if err != nil || members == nil {
		return stocks, err
	}
	out := make([]*models.Stock, len(stocks))
	for i, s := range stocks {
		out[i] = narrowed(s, members)
	}
	return out, nil
}

// stockOf loads the stock of one product, nil when it is unknown.
func stockOf(ctx context.Context, id string) (*models.Stock, error) {
	if err := checkProductIDs([]string{id}); err != nil {
		return nil, err
	}
	return loaders.Of(ctx).Stock(ctx, id)
}

// changeStock sends a stock write of somebody who may.
func (r *Resolver) changeStock(ctx context.Context, write func(actor string) models.Write) (*generated.StockPayload, error) {
	actor, err := guard.Require(ctx, guard.WriteInventory)
	if err != nil {
		return nil, err
	}
	result, err := r.Store.Write(ctx, write(actor))
	if err != nil {
		return nil, err
	}
	return &generated.StockPayload{Stocks: result.Stocks, Replayed: result.Replayed, Errors: orEmpty(result.Errors)}, nil
}

// stockAsOf reads what was.
func (r *Resolver) stockAsOf(ctx context.Context, id string, at time.Time) (*models.Stock, error) {
	if _, err := guard.Require(ctx, guard.ReadInventory); err != nil {
		return nil, err
	}
	if err := checkProductIDs([]string{id}); err != nil {
		return nil, err
	}
	return r.Store.StockAsOf(ctx, id, endOf(at))
}

// seen is the status of each product that a subscription gave last.
type seen map[string]models.StockStatus

// mark puts the status before beside the one now. Stocks are shared, so that
// it makes another.
func (s seen) mark(stock *models.Stock) *models.Stock {
	marked := *stock
	if before, ok := s[stock.ProductID]; ok {
		marked.PreviousStatus = &before
	}
	s[stock.ProductID] = stock.Status()
	return &marked
}

// checkProductIDs bounds a list of product ids.
func checkProductIDs(ids []string) error {
	if len(ids) > models.StocksMax {
		return models.BadInput("at most %d product ids at once, not %d", models.StocksMax, len(ids))
	}
	for i, id := range ids {
		if problem := models.CheckID(id); problem != "" {
			return models.BadInput("product id %d %s", i, problem)
		}
	}
	return nil
}
