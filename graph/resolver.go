package graph

import (
	"context"
	"log/slog"

	"onhand/models"
)

// Store is what the API needs of the stock. Its faults are models.Fault.
type Store interface {
	// Stocks returns values in the order asked, nil for unknown products.
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
	// FreshStock reads past every cache; nil when unknown.
	FreshStock(ctx context.Context, id string) (*models.Stock, error)
	Products(ctx context.Context, page models.Page, filter models.ProductFilter) (models.ProductPage, error)
	// Reservations returns values in the order asked, nil for unknown ones.
	Reservations(ctx context.Context, ids []string) ([]*models.Reservation, error)
	Directory() *models.Directory
	Write(ctx context.Context, write models.Write) (models.WriteResult, error)
	WatchStock(ctx context.Context, ids []string) (models.Watch[*models.Stock], error)
	WatchReservation(ctx context.Context, id string) (models.Watch[*models.Reservation], error)
}

// Resolver is the root of all resolvers.
type Resolver struct {
	Store Store
	Log   *slog.Logger
}
