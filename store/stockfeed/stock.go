package stockfeed

import (
	"bytes"
	"context"
	"errors"
	"sync"

	"onhand/models"
	"onhand/models/stockjson"
)

// ErrClosed is what Next answers on a watch that was closed.
var ErrClosed = errors.New("watch is closed")

// errDoubt is why what was just read is read again: it belongs to another
// history than the one the database was last known to be in.
var errDoubt = errors.New("the database may have been replaced; what was read is of another epoch")

// acceptStock lets a topic's versions only grow.
func acceptStock(t *topic[models.Stock], s *models.Stock, first bool) bool {
	return first || s.Version > t.latest.Version
}

// sameStock tells whether two stocks differ in their history, and in when they
// were read, alone.
func sameStock(a, b *models.Stock) bool {
	if a.Version != b.Version {
		return false
	}
	renamed := *a
	renamed.Epoch, renamed.AsOf = b.Epoch, b.AsOf
	return bytes.Equal(stockjson.Encode(&renamed), stockjson.Encode(b))
}

// StockWatch is one watcher of some products.
type StockWatch struct {
	hub   *Hub
	seat  *seat[models.Stock]
	close sync.Once
}

// WatchStock begins to watch products, 1 to WatchIDsMax of them. It returns once
// their current stock is read. Close the watch when done.
//
// Errors: bad input for a wrong number of ids, unavailable where the process
// has no room for more, ErrStopped, and whatever reading the stock answers.
func (h *Hub) WatchStock(ctx context.Context, ids []string) (*StockWatch, error) {
	ids = distinct(ids)
	if len(ids) == 0 || len(ids) > WatchIDsMax {
		return nil, models.BadInput("between 1 and %d products can be watched at once", WatchIDsMax)
	}
	if err := h.admit(); err != nil {
		return nil, err
	}
	seat, err := h.stocks.join(ids)
	if err != nil {
		h.dismiss()
		return nil, err
	}
	w := &StockWatch{hub: h, seat: seat}
	err = h.stocks.await(ctx, seat, h.cfg.ConfirmTimeout)
	if err == nil {
		err = h.readStocks(ctx, ids)
	}
	if errors.Is(err, errDoubt) {
		h.stocks.rereader.add(ids...)
		err = nil
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	h.stocks.catchUp(seat)
	return w, nil
}

// Next waits for the next stock: first the current one of each product that is
// known, then every newer one. A product that changed several times since is
// given once, as it is now. Errors: that of ctx, ErrStopped, ErrClosed.
func (w *StockWatch) Next(ctx context.Context) (*models.Stock, error) { return w.seat.box.take(ctx) }

// Close ends the watch; it may be called more than once.
func (w *StockWatch) Close() {
	w.close.Do(func() {
		w.hub.stocks.leave(w.seat)
		w.seat.box.end(ErrClosed)
		w.hub.dismiss()
	})
}

// Deliver gives this process's own committed changes to its watchers, without
// the way through Redis. It does not block.
func (h *Hub) Deliver(stocks []*models.Stock) {
	for _, s := range stocks {
		if s != nil && h.stocks.deliver(s.ProductID, s.Epoch, s) {
			h.stocks.rereader.add(s.ProductID)
		}
	}
}

// readStocks reads and delivers. After errDoubt what could be delivered was:
// read again, but not at once, for that may last as long as the database's
// epoch is not known for sure.
func (h *Hub) readStocks(ctx context.Context, ids []string) error {
	stocks, err := h.cfg.Stocks.Stocks(ctx, ids)
	var unreadable *models.PoisonRowsError
	if err != nil && !errors.As(err, &unreadable) {
		return err
	}
	for _, s := range stocks {
		if s != nil && h.stocks.deliver(s.ProductID, s.Epoch, s) {
			err = errDoubt
		}
	}
	return err
}

// rereadStocks is readStocks in the background. What cannot be read must not
// hold up the others: it is tried again with the next repair.
func (h *Hub) rereadStocks(ctx context.Context, ids []string) error {
	err := h.readStocks(ctx, ids)
	var unreadable *models.PoisonRowsError
	if !errors.As(err, &unreadable) {
		return err
	}
	h.unreadableMu.Lock()
	defer h.unreadableMu.Unlock()
	for id := range unreadable.Causes {
		h.unreadable[id] = true
	}
	return nil
}

// retryUnreadable has what could not be read tried again.
func (h *Hub) retryUnreadable() {
	h.unreadableMu.Lock()
	defer h.unreadableMu.Unlock()
	for id := range h.unreadable {
		h.stocks.rereader.add(id)
	}
	clear(h.unreadable)
}

// stockMessage takes in a change. A message that cannot be read still says
// that there was a change.
func (h *Hub) stockMessage(id, payload string) {
	s, err := stockjson.Decode([]byte(payload))
	if err != nil || s.ProductID != id {
		h.stocks.rereader.add(id)
		return
	}
	h.Deliver([]*models.Stock{s})
}

// distinct drops repeated ids and keeps the order.
func distinct(ids []string) []string {
	seen := make(map[string]bool, len(ids))
	list := make([]string, 0, len(ids))
	for _, id := range ids {
		if !seen[id] {
			seen[id] = true
			list = append(list, id)
		}
	}
	return list
}
