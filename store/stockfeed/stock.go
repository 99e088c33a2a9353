package stockfeed

import (
	"context"
	"errors"
	"sync"

	"onhand/models"
	"onhand/models/poison"
	"onhand/models/stockbinary"
)

// ErrClosed is returned by Next of a closed watch.
var ErrClosed = errors.New("watch is closed")

// errForeignEpoch makes the refresher read stock again: what was read is of
// another epoch than the database's, as far as this instance knows it.
var errForeignEpoch = errors.New("the stock that was read is of another epoch")

// stockKind is the kind of models.Stock.
type stockKind struct {
	channels ChannelNames
	ahead    func(productID, epoch string, version int64) // nil: nobody asks
}

func (k stockKind) channel(id string) string { return k.channels.StockChannel(id) }

// accept lets the version of a topic only grow. An older version is usual: commits of
// two instances arrive in reverse order. It is a fault where the latest version came
// from a hash that another program wrote.
func (k stockKind) accept(t *topic[models.Stock], s *models.Stock, first bool) bool {
	if !first && s.Version < t.latest.Version && k.ahead != nil {
		k.ahead(s.ProductID, s.Epoch, t.latest.Version)
	}
	return first || s.Version > t.latest.Version
}

// identical compares everything but the epoch and the time of the read.
func (stockKind) identical(a, b *models.Stock) bool {
	if a.Version != b.Version {
		return false
	}
	moved := *a
	moved.Epoch, moved.AsOf = b.Epoch, b.AsOf
	return stockbinary.Equal(&moved, b)
}

func anyStock(*models.Stock) bool { return true }

// StockWatch is one watch of some products.
type StockWatch struct {
	hub     *Hub
	watcher *watcher[models.Stock]
	close   sync.Once
}

// WatchStock begins to watch 1 to WatchIDsMax products. It returns once their
// current stock is read. Close the watch when done.
//
// Errors: bad input for a wrong number of ids, unavailable at one of the hub's
// bounds, ErrStopped, and the errors of reading stock.
func (h *Hub) WatchStock(ctx context.Context, ids []string) (*StockWatch, error) {
	return h.watchStock(ctx, ids, nil)
}

// PushStock is WatchStock for a caller without a goroutine that waits: notify is called
// when Next may return something, also while PushStock runs. It must not block. Unless
// now is true, it must not call the watch; otherwise the calling goroutine has nothing
// else to do, and notify may take and write what is pending. With a context that has
// ended, Next returns what is pending, or that context's error.
func (h *Hub) PushStock(ctx context.Context, ids []string, notify func(now bool)) (*StockWatch, error) {
	return h.watchStock(ctx, ids, notify)
}

func (h *Hub) watchStock(ctx context.Context, ids []string, notify func(now bool)) (*StockWatch, error) {
	ids = distinct(ids)
	if len(ids) == 0 || len(ids) > WatchIDsMax {
		return nil, models.BadInput("between 1 and %d products can be watched at once", WatchIDsMax)
	}
	if err := h.acquireSlot(); err != nil {
		return nil, err
	}
	watcher, err := h.stocks.add(ids, notify)
	if err != nil {
		h.releaseSlot()
		return nil, err
	}
	w := &StockWatch{hub: h, watcher: watcher}
	err = h.stocks.awaitConfirmed(ctx, watcher, h.cfg.ConfirmTimeout)
	if err == nil && !h.stocks.isCurrent(watcher) {
		err = h.readStocks(ctx, ids)
	}
	if errors.Is(err, errForeignEpoch) {
		h.stocks.refresher.add(ids...)
		err = nil
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	h.stocks.deliverLatest(watcher)
	return w, nil
}

// Next waits for the next stock: first the current one of each known product,
// then every newer one. A product that changed several times meanwhile is
// returned once, with its latest stock. Errors: that of ctx, ErrStopped,
// ErrClosed.
func (w *StockWatch) Next(ctx context.Context) (*models.Stock, error) {
	return w.watcher.queue.take(ctx)
}

// Repeat makes Next return the latest stock of every product once more. Call it when
// what the caller makes of a stock has changed. It does not block.
func (w *StockWatch) Repeat() { w.hub.stocks.repeat(w.watcher) }

// Close ends the watch. It may be called more than once.
func (w *StockWatch) Close() {
	w.close.Do(func() {
		w.hub.stocks.remove(w.watcher)
		w.watcher.queue.close(ErrClosed)
		w.hub.releaseSlot()
	})
}

// Deliver gives stocks that this instance has committed or published to its
// watches, without a round trip through Redis. It does not block.
func (h *Hub) Deliver(stocks []*models.Stock) {
	if h.cfg.OnStocks != nil {
		h.cfg.OnStocks(stocks)
	}
	for _, s := range stocks {
		if s != nil && h.stocks.deliver(s.ProductID, s.Epoch, s, false) {
			h.stocks.refresher.add(s.ProductID)
		}
	}
}

// readStocks reads and delivers. After errForeignEpoch it has delivered what it
// could. The caller reads again, but not at once: the epoch may stay unknown for
// as long as the database does not answer.
func (h *Hub) readStocks(ctx context.Context, ids []string) error {
	confirmed, lost := h.stocks.beginRead(ids)
	stocks, err := h.cfg.Stocks.Stocks(ctx, ids)
	var poison *poison.RowsError
	if err != nil && !errors.As(err, &poison) {
		return err
	}
	if h.cfg.OnStocks != nil {
		h.cfg.OnStocks(stocks)
	}
	for _, s := range stocks {
		if s != nil && h.stocks.deliver(s.ProductID, s.Epoch, s, false) {
			err = errForeignEpoch
		}
	}
	if err == nil {
		h.stocks.endRead(confirmed, lost)
	}
	return err
}

// refreshStocks is readStocks for the refresher. Products with poison rows must
// not delay the others, so they are retried with the next periodic refresh.
func (h *Hub) refreshStocks(ctx context.Context, ids []string) error {
	err := h.readStocks(ctx, ids)
	var poison *poison.RowsError
	if !errors.As(err, &poison) {
		return err
	}
	h.poisonMu.Lock()
	defer h.poisonMu.Unlock()
	for id := range poison.Causes {
		h.poison[id] = true
	}
	return nil
}

// retryPoison refreshes the products that had poison rows.
func (h *Hub) retryPoison() {
	h.poisonMu.Lock()
	defer h.poisonMu.Unlock()
	for id := range h.poison {
		h.stocks.refresher.add(id)
	}
	clear(h.poison)
}

// stockMessage delivers a message. One that cannot be decoded still says that
// the product has changed.
func (h *Hub) stockMessage(id, payload string, lone bool) {
	s, err := stockbinary.DecodeMessage(payload)
	if err != nil || s.ProductID != id {
		h.stocks.refresher.add(id)
		return
	}
	s.Source = models.FromCache // it came from Redis; the message does not say
	if h.cfg.OnStocks != nil {
		h.cfg.OnStocks([]*models.Stock{s})
	}
	if h.stocks.deliver(id, s.Epoch, s, lone) {
		h.stocks.refresher.add(id)
	}
}

// distinct drops repeated ids and keeps their order.
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
