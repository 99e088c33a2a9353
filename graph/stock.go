package graph

import (
	"context"
	"errors"
	"io"

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

// location finds a place that stock lies at. The directory may be a moment
// behind; a place it does not know yet is named by its id.
func (r *Resolver) location(id string) *models.Location {
	if l, ok := r.Store.Directory().Location(id); ok {
		return &l
	}
	return &models.Location{LocationID: id, Name: id}
}

// stream hands a watch's states to a subscription until either ends. The
// channel has no buffer: a slow client leaves the states with the watch, where
// the latest wins.
func stream[T any](ctx context.Context, r *Resolver, watch models.Watch[T], change func(T) T) <-chan T {
	out := make(chan T)
	go func() {
		defer close(out)
		defer watch.Close()
		for {
			state, err := watch.Next(ctx)
			if err != nil {
				if ctx.Err() == nil && !errors.Is(err, io.EOF) {
					r.Log.Debug("a subscription ended", "error", err)
				}
				return
			}
			select {
			case out <- change(state):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}
