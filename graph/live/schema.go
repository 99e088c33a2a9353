package live

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/compiled"
	"onhand/graph/transport/push"
	"onhand/graph/viewer"
	"onhand/models"
)

// Stocks opens watches.
type Stocks interface {
	// PushStock watches products, as a channel sees them unless it is empty. notify is
	// called when the watch may have a stock, and must not block. now: the calling
	// goroutine has nothing else to do, and notify may take and write what is pending.
	// With a context that has ended, Next returns what is pending, or that context's
	// error. All watches get the same pointer for the same stock.
	PushStock(ctx context.Context, ids []string, channel string, notify func(now bool)) (models.Watch[*models.Stock], error)
	Directory() *models.Directory
}

// PushSchema pushes subscriptions to stock. Make it with New.
type PushSchema struct {
	graphql.ExecutableSchema
	stocks     Stocks
	limit      viewer.QuantityCap
	selections selections
	renderings renderings
}

// New returns a PushSchema over another one. limit bounds what callers without
// read:inventory see.
func New(below graphql.ExecutableSchema, stocks Stocks, limit viewer.QuantityCap) *PushSchema {
	return &PushSchema{ExecutableSchema: below, stocks: stocks, limit: limit, selections: selections{byKey: map[string]*selection{}}}
}

// Exec implements graphql.ExecutableSchema.
func (s *PushSchema) Exec(ctx context.Context) graphql.ResponseHandler {
	if offer := push.OfferIn(ctx); offer != nil {
		if source := s.open(ctx, offer.Notify); source != nil {
			offer.Accept(source)
			return func(context.Context) *graphql.Response { return nil }
		}
	}
	return s.ExecutableSchema.Exec(ctx)
}

// open opens a subscription. It returns nil for what the schema below has to answer:
// arguments that are refused too, so that there is one place that refuses them.
func (s *PushSchema) open(ctx context.Context, notify func(now bool)) push.Source {
	changes, ok := compiled.Subscription(graphql.GetOperationContext(ctx))
	if !ok || len(changes.ProductIDs) > models.StocksMax || !changes.Rules.Allow(ctx) {
		return nil
	}
	for _, id := range changes.ProductIDs {
		if models.CheckProductID(id) != "" {
			return nil
		}
	}
	channel := ""
	if changes.Channel != nil {
		if channel = *changes.Channel; channel == "" {
			return nil
		}
	}
	watch, err := s.stocks.PushStock(ctx, changes.ProductIDs, channel, notify)
	if err != nil {
		return nil
	}
	limit := s.limit.For(ctx)
	return &subscription{schema: s, watch: limit.Watch(watch), limit: limit, selection: s.selections.acquire(changes.Selection)}
}

// ended makes Next return at once.
var ended = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// subscription is one subscriber's.
type subscription struct {
	schema    *PushSchema
	watch     models.Watch[*models.Stock]
	limit     viewer.QuantityCap
	selection *selection
}

// Next implements push.Source.
func (s *subscription) Next() ([]byte, error) {
	stock, err := s.watch.Next(ended)
	switch {
	case errors.Is(err, context.Canceled):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return s.schema.renderings.of(rendered{s.selection.StockSelection, stock, s.schema.stocks.Directory(), s.limit}), nil
}

// Close implements push.Source.
func (s *subscription) Close() {
	s.watch.Close()
	s.schema.selections.release(s.selection)
}
