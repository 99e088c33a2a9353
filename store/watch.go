package store

import (
	"context"

	"onhand/models"
)

// WatchStock watches up to models.StocksMax products: the current stock of each
// known one, then every newer state. A slow reader gets the latest state of each.
func (s *Store) WatchStock(ctx context.Context, ids []string) (models.Watch[*models.Stock], error) {
	watch, err := s.hub.WatchStock(ctx, ids)
	if err != nil {
		return nil, err
	}
	return placedWatch{watch, s}, nil
}

// placedWatch delivers stocks as the shop sells them.
type placedWatch struct {
	models.Watch[*models.Stock]
	store *Store
}

// Next implements models.Watch.
func (w placedWatch) Next(ctx context.Context) (*models.Stock, error) {
	stock, err := w.Watch.Next(ctx)
	return w.store.Directory().Placed(stock, ""), err
}

// WatchReservation watches one reservation: its current state, then every newer
// one, until its last.
func (s *Store) WatchReservation(ctx context.Context, id string) (models.Watch[*models.Reservation], error) {
	return s.hub.WatchReservation(ctx, id)
}

// WatchMovements follows the ledger after a cursor or, where it is empty, from
// now on; see [ledgerfeed.Followers.WatchMovements].
func (s *Store) WatchMovements(ctx context.Context, after string, filter models.MovementFilter) (models.Watch[*models.StockMovement], error) {
	return s.followers.WatchMovements(ctx, after, filter)
}

// WatchStatus follows changes of stock status from now on; see
// [ledgerfeed.Followers.WatchStatus].
func (s *Store) WatchStatus(ctx context.Context, channel string, statuses []models.StockStatus, products []string) (models.Watch[*models.StockStatusChange], error) {
	return s.followers.WatchStatus(ctx, channel, statuses, products)
}
