package loaders

import (
	"context"
	"errors"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vikstrous/dataloadgen"

	"onhand/models"
)

// wait is how long the first field that asks for stock waits for the others of
// its response: long enough for gqlgen to start their goroutines, far shorter
// than a round trip.
const wait = 150 * time.Microsecond

// batchMax is the store's own bound of a batch.
const batchMax = 1000

// Loaders belong to one response.
type Loaders struct {
	stocks *dataloadgen.Loader[string, *models.Stock]
}

// Reader reads stocks: values in the order asked, nil for unknown products.
type Reader func(ctx context.Context, ids []string) ([]*models.Stock, error)

type contextKey struct{}

// PerResponse gives every response loaders of its own. It is a gqlgen
// extension.
type PerResponse struct{ Read Reader }

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
} = PerResponse{}

// ExtensionName implements graphql.HandlerExtension.
func (PerResponse) ExtensionName() string { return "Loaders" }

// Validate implements graphql.HandlerExtension.
func (p PerResponse) Validate(graphql.ExecutableSchema) error {
	if p.Read == nil {
		return errors.New("loaders need a reader")
	}
	return nil
}

// InterceptResponse implements graphql.ResponseInterceptor.
func (p PerResponse) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(With(ctx, p.Read))
}

// With puts fresh loaders into a context.
func With(ctx context.Context, read Reader) context.Context {
	fetch := func(ctx context.Context, ids []string) ([]*models.Stock, []error) {
		stocks, err := read(ctx, ids)
		if err != nil {
			return nil, []error{err}
		}
		return stocks, nil
	}
	return context.WithValue(ctx, contextKey{}, &Loaders{
		stocks: dataloadgen.NewLoader(fetch, dataloadgen.WithWait(wait), dataloadgen.WithBatchCapacity(batchMax)),
	})
}

// Of returns the response's loaders.
func Of(ctx context.Context) *Loaders { return ctx.Value(contextKey{}).(*Loaders) }

// Stocks loads stocks: values in the order asked, nil for unknown products.
func (l *Loaders) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	if len(ids) == 0 {
		return []*models.Stock{}, nil
	}
	stocks, err := l.stocks.LoadAll(ctx, ids)
	var many dataloadgen.ErrorSlice
	if errors.As(err, &many) { // the same fault for each id: one is enough
		for _, e := range many {
			if e != nil {
				return nil, e
			}
		}
	}
	return stocks, err
}
