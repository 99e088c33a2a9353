package graph

import (
	"context"
	"time"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/loaders"
	"onhand/models"
)

// members returns a channel with its locations; nil for no channel.
func (r *Resolver) members(channel *string) (*models.ChannelMembers, error) {
	if channel == nil {
		return nil, nil
	}
	members, ok := r.Store.Directory().Channel(*channel)
	if !ok {
		return nil, models.BadInput("no channel %q", *channel)
	}
	return members, nil
}

// narrowed returns a stock as one channel sees it, at a past moment where there is one.
// Others share the stock, so it returns a copy.
func (r *Resolver) narrowed(stock *models.Stock, members *models.ChannelMembers, moment *time.Time) *models.Stock {
	if stock == nil {
		return nil
	}
	if members != nil {
		stock = r.Store.Directory().Placed(stock.In(members), members.ChannelID)
	}
	if moment == nil {
		return stock
	}
	view := *stock
	view.Moment = moment
	return &view
}

// stocks loads stocks as one channel sees them, nil for unknown products.
func (r *Resolver) stocks(ctx context.Context, ids []string, channel *string) ([]*models.Stock, error) {
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
		out[i] = r.narrowed(s, members, nil)
	}
	return out, nil
}

// stockIn loads the stock of one product that was read, as one channel sees it; nil when it
// is gone since.
func (r *Resolver) stockIn(ctx context.Context, id string, channel *string) (*models.Stock, error) {
	members, err := r.members(channel)
	if err != nil {
		return nil, err
	}
	stock, err := loaders.Of(ctx).Stock(ctx, id)
	return r.narrowed(stock, members, nil), err
}

// stockOf loads the stock of one product; nil when it is unknown.
func stockOf(ctx context.Context, id string) (*models.Stock, error) {
	if err := checkProductIDs([]string{id}); err != nil {
		return nil, err
	}
	return loaders.Of(ctx).Stock(ctx, id)
}

// stock reads one product as a channel sees it: as of a past time, or now and at least
// at a version.
func (r *Resolver) stock(ctx context.Context, id string, channel *string, minVersion *int64, asOf *time.Time) (*models.Stock, error) {
	members, err := r.members(channel)
	switch {
	case err != nil:
		return nil, err
	case asOf == nil:
		return r.currentStock(ctx, id, members, minVersion)
	case minVersion == nil:
		stock, err := r.pastStock(ctx, id, *asOf)
		return r.narrowed(stock, members, momentOf(asOf)), err
	}
	return nil, models.BadInput("asOf and minVersion do not go together: one asks for what was, the other for what is")
}

// currentStock reads past the caches what is older than minVersion: the product, past
// one cache after the other, and then the channel where that is older too.
func (r *Resolver) currentStock(ctx context.Context, id string, members *models.ChannelMembers, minVersion *int64) (*models.Stock, error) {
	stock, err := stockOf(ctx, id)
	view := r.narrowed(stock, members, nil)
	old := func() bool {
		return err == nil && minVersion != nil && (view == nil || view.ViewVersion() < *minVersion)
	}
	if old() && stock != nil && stock.Source == models.FromNearCache {
		stock, err = r.Store.SharedStock(ctx, id)
		view = r.narrowed(stock, members, nil)
	}
	if old() {
		stock, err = r.Store.FreshStock(ctx, id)
		view = r.narrowed(stock, members, nil)
	}
	if stock != nil && members != nil && old() {
		if fresh, known := r.Store.FreshDirectory(ctx).Channel(members.ChannelID); known {
			view = r.narrowed(stock, fresh, nil)
		}
	}
	return view, err
}

func (r *Resolver) pastStock(ctx context.Context, id string, at time.Time) (*models.Stock, error) {
	if err := accessRules().Check(ctx, "Query.stock(asOf:)"); err != nil {
		return nil, err
	}
	if err := checkProductIDs([]string{id}); err != nil {
		return nil, err
	}
	return r.Store.StockAsOf(ctx, id, endOf(at))
}

// momentOf is what an asOf argument adds to the identity of a stock.
func momentOf(asOf *time.Time) *time.Time {
	if asOf == nil {
		return nil
	}
	at := asOf.UTC().Truncate(time.Millisecond)
	return &at
}

// changeStock sends a stock write with the caller as its actor.
func (r *Resolver) changeStock(ctx context.Context, write func(actor string) models.Write) (*generated.StockPayload, error) {
	result, err := r.Store.Write(ctx, write(guard.Subject(ctx)))
	if err != nil {
		return nil, err
	}
	return &generated.StockPayload{Stocks: result.Stocks, Replayed: result.Replayed, Errors: errorsOf[models.StockError](r.QuantityCap.For(ctx).Errors(result.Errors))}, nil
}

// watchStock subscribes to products as one channel sees them.
func (r *Resolver) watchStock(ctx context.Context, ids []string, channel *string) (<-chan *models.Stock, error) {
	watch, err := r.openWatch(ctx, ids, channel)
	if err != nil {
		return nil, err
	}
	return stream(ctx, r.Log, r.QuantityCap.For(ctx).Watch(watch), unchanged), nil
}

func (r *Resolver) openWatch(ctx context.Context, ids []string, channel *string) (models.Watch[*models.Stock], error) {
	if channel == nil {
		return r.Store.WatchStock(ctx, ids)
	}
	return r.Store.WatchView(ctx, ids, *channel)
}

// checkProductIDs checks a list of product ids.
func checkProductIDs(ids []string) error {
	if len(ids) > models.StocksMax {
		return models.BadInput("at most %d product ids at once, not %d", models.StocksMax, len(ids))
	}
	for i, id := range ids {
		if problem := models.CheckProductID(id); problem != "" {
			return models.BadInput("product id %d %s", i, problem)
		}
	}
	return nil
}
