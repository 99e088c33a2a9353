package loaders

import (
	"context"
	"errors"

	"github.com/99designs/gqlgen/graphql"

	"onhand/models"
	"onhand/models/poison"
)

// Loaders are the loaders of one response.
type Loaders struct {
	stocks       loader[*models.Stock]
	reservations loader[*models.Reservation]
	direct       *Direct // nil: loads wait for more fields
}

type contextKey struct{}

// PerResponse gives every response loaders of its own. It is a gqlgen extension.
type PerResponse struct {
	Stocks       ReadFunc[*models.Stock]
	Reservations ReadFunc[*models.Reservation]
}

var _ interface {
	graphql.HandlerExtension
	graphql.ResponseInterceptor
} = PerResponse{}

// ExtensionName implements graphql.HandlerExtension.
func (PerResponse) ExtensionName() string { return "Loaders" }

// Validate implements graphql.HandlerExtension.
func (p PerResponse) Validate(graphql.ExecutableSchema) error {
	if p.Stocks == nil || p.Reservations == nil {
		return errors.New("loaders need read functions")
	}
	return nil
}

// InterceptResponse implements graphql.ResponseInterceptor.
func (p PerResponse) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(p.With(ctx))
}

// With returns a context with new loaders.
func (p PerResponse) With(ctx context.Context) context.Context {
	return context.WithValue(ctx, contextKey{}, &Loaders{
		stocks: loader[*models.Stock]{read: p.Stocks}, reservations: loader[*models.Reservation]{read: p.Reservations},
	})
}

// Of returns the response's loaders.
func Of(ctx context.Context) *Loaders { return ctx.Value(contextKey{}).(*Loaders) }

// Stocks loads stocks in the order of ids, nil for unknown products.
func (l *Loaders) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	if l.direct != nil {
		return l.direct.stocks(ctx, ids)
	}
	return l.stocks.load(ctx, ids)
}

// Stock loads one stock; nil for an unknown product.
func (l *Loaders) Stock(ctx context.Context, id string) (*models.Stock, error) {
	if l.direct != nil {
		return l.direct.stock(ctx, id)
	}
	return l.stocks.one(ctx, id)
}

// Reservation loads one reservation; nil when it is unknown.
func (l *Loaders) Reservation(ctx context.Context, id string) (*models.Reservation, error) {
	return l.reservations.one(ctx, id)
}

// errorFor returns what the error of a read is for one of its ids. A *poison.RowsError is
// that of the products it names: the others were read.
func errorFor(err error, id string) error {
	rows, some := errors.AsType[*poison.RowsError](err)
	if !some {
		return err
	}
	if cause := rows.Causes[id]; cause != nil {
		return &poison.RowsError{Causes: map[string]error{id: cause}}
	}
	return nil
}
