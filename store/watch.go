package store

import (
	"context"

	"onhand/models"
	"onhand/store/stockfeed"
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

// PushStock is WatchStock or, with a channel, WatchView for a caller without a goroutine
// that waits: notify is called when Next may return something, also while PushStock
// runs. It must not block. Unless now is true, it must not call the watch; otherwise the
// calling goroutine has nothing else to do, and notify may take and write what is
// pending. With a context that has ended, Next returns what is pending, or that context's
// error. All watches get the same pointer for the same stock or view.
func (s *Store) PushStock(ctx context.Context, ids []string, channel string, notify func(now bool)) (models.Watch[*models.Stock], error) {
	if channel != "" {
		if err := s.checkChannel(channel); err != nil {
			return nil, err
		}
	}
	watch, err := s.hub.PushStock(ctx, ids, notify)
	if err != nil {
		return nil, err
	}
	if channel != "" {
		return s.views.Watch(channel, watch), nil
	}
	return placedWatch{watch, s}, nil
}

// placedWatch delivers stocks as the shop sells them.
type placedWatch struct {
	*stockfeed.StockWatch
	store *Store
}

// Next implements models.Watch.
func (w placedWatch) Next(ctx context.Context) (*models.Stock, error) {
	stock, err := w.StockWatch.Next(ctx)
	return w.store.Directory().Placed(stock, ""), err
}

// WatchView watches up to models.StocksMax products as a channel sees them: the current
// view of each known one, then every newer one. A view is newer when the product or the
// channel has changed. The views of a deleted channel keep its last settings.
//
// Errors: bad input for an unknown channel; those of WatchStock.
func (s *Store) WatchView(ctx context.Context, ids []string, channel string) (models.Watch[*models.Stock], error) {
	if err := s.checkChannel(channel); err != nil {
		return nil, err
	}
	watch, err := s.hub.WatchStock(ctx, ids)
	if err != nil {
		return nil, err
	}
	return s.views.Watch(channel, watch), nil
}

func (s *Store) checkChannel(channel string) error {
	if _, known := s.directory.Directory().Channel(channel); !known {
		return models.BadInput("no channel %q", channel)
	}
	return nil
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
