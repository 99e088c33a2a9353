package graph

import (
	"context"
	"log/slog"
	"time"

	"onhand/models"
)

// Store is what the API needs of the stock. Its faults are models.Fault.
type Store interface {
	// Stocks returns values in the order asked, nil for unknown products.
	Stocks(ctx context.Context, ids []string) ([]*models.Stock, error)
	// FreshStock reads past every cache; nil when unknown.
	FreshStock(ctx context.Context, id string) (*models.Stock, error)
	// StockAsOf reads what was; nil when unknown.
	StockAsOf(ctx context.Context, id string, at time.Time) (*models.Stock, error)
	Products(ctx context.Context, page models.Page, filter models.ProductFilter) (models.ProductPage, error)
	// Reservations returns values in the order asked, nil for unknown ones.
	Reservations(ctx context.Context, ids []string) ([]*models.Reservation, error)
	// Movements is a page of the ledger; Movement, one of it, nil when unknown.
	Movements(ctx context.Context, page models.MovementsPage, filter models.MovementFilter) (models.MovementPage, error)
	Movement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error)
	Directory() *models.Directory
	Write(ctx context.Context, write models.Write) (models.WriteResult, error)
	WatchStock(ctx context.Context, ids []string) (models.Watch[*models.Stock], error)
	// WatchStatus gives each product whose status changed, with the one before.
	WatchStatus(ctx context.Context, channel string, statuses []models.StockStatus, products []string) (models.Watch[*models.Stock], error)
	// WatchMovements follows the ledger after a cursor, empty for now.
	WatchMovements(ctx context.Context, after string, filter models.MovementFilter) (models.Watch[*models.StockMovement], error)
	WatchReservation(ctx context.Context, id string) (models.Watch[*models.Reservation], error)
}

// Resolver is the root of all resolvers.
type Resolver struct {
	Store Store
	Log   *slog.Logger
}
