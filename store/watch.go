package store

import (
	"context"

	"onhand/models"
)

// WatchStock watches up to models.StocksMax products: the current stock of
// each known one, then every newer state; the latest wins for a slow reader.
func (s *Store) WatchStock(ctx context.Context, ids []string) (models.Watch[*models.Stock], error) {
	return s.hub.WatchStock(ctx, ids)
}

// WatchReservation watches one reservation: its current state, then every
// newer one, until it is over.
func (s *Store) WatchReservation(ctx context.Context, id string) (models.Watch[*models.Reservation], error) {
	return s.hub.WatchReservation(ctx, id)
}
