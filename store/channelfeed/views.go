package channelfeed

import (
	"context"
	"sync"

	"onhand/models"
	"onhand/models/stockbinary"
)

// CurrentDirectory returns all locations and channels.
type CurrentDirectory interface{ Directory() *models.Directory }

// RepeatableWatch is a watch of stocks over all locations.
type RepeatableWatch interface {
	models.Watch[*models.Stock]
	// Repeat makes Next return the latest stock of every product once more.
	Repeat()
}

// Views are the watches of an instance by channel. It is safe for concurrent use.
type Views struct {
	directory CurrentDirectory
	shared    sharedViews

	mu      sync.Mutex
	watches map[string]map[*ViewWatch]bool // by channel; bounded by the hub's watches
}

// NewViews makes Views without a watch.
func NewViews(directory CurrentDirectory) *Views {
	return &Views{directory: directory, watches: map[string]map[*ViewWatch]bool{}}
}

// Watch returns the views of the stocks that a watch returns. To close it closes the
// watch too.
func (v *Views) Watch(channel string, stocks RepeatableWatch) *ViewWatch {
	w := &ViewWatch{
		RepeatableWatch: stocks, views: v, channel: channel,
		members: &models.ChannelMembers{Channel: models.Channel{ChannelID: channel}}, returned: map[string]returnedView{},
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.watches[channel] == nil {
		v.watches[channel] = map[*ViewWatch]bool{}
	}
	v.watches[channel][w] = true
	return w
}

// Changed makes the watches of the channels that differ repeat their stocks. Call it
// after the directory was replaced. It does not block.
func (v *Views) Changed(before, now *models.Directory) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for channel, watches := range v.watches {
		if sameChannel(before, now, channel) {
			continue
		}
		for w := range watches {
			w.Repeat()
		}
	}
}

// sameChannel reports whether a channel has the same revision in two directories. A
// channel that is gone keeps its last views.
func sameChannel(before, now *models.Directory, id string) bool {
	next, known := now.Channel(id)
	if !known {
		return true
	}
	last, known := before.Channel(id)
	return known && last.Revision == next.Revision && before.Epoch == now.Epoch
}

func (v *Views) remove(w *ViewWatch) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.watches[w.channel], w)
	if len(v.watches[w.channel]) == 0 {
		delete(v.watches, w.channel)
	}
}

// ViewWatch is one watch of views. One goroutine at a time calls Next.
type ViewWatch struct {
	RepeatableWatch
	views   *Views
	channel string

	members  *models.ChannelMembers // as last seen in a directory
	epoch    string                 // of members
	returned map[string]returnedView
}

// returnedView is the last view of a product, with the epoch of its channel.
type returnedView struct {
	stock *models.Stock
	epoch string
}

// Next implements models.Watch.
func (w *ViewWatch) Next(ctx context.Context) (*models.Stock, error) {
	for {
		stock, err := w.RepeatableWatch.Next(ctx)
		if err != nil {
			return nil, err
		}
		if view := w.view(stock); view != nil {
			return view, nil
		}
	}
}

// view returns the view of a stock; nil when it is not newer than the last one.
func (w *ViewWatch) view(stock *models.Stock) *models.Stock {
	directory := w.views.directory.Directory()
	if members, known := directory.Channel(w.channel); known { // a deleted channel keeps its last settings
		w.members, w.epoch = members, directory.Epoch
	}
	next := returnedView{w.views.shared.of(stock, w.members, directory), w.epoch}
	last, repeated := w.returned[stock.ProductID]
	if repeated && !next.replaces(last) {
		return nil
	}
	w.returned[stock.ProductID] = next
	if repeated && next.same(last) {
		return nil
	}
	return next.stock
}

// replaces reports whether a view is newer than the last one, or of another epoch.
// Product and channel each have an epoch, because an instance does not read both at once.
func (v returnedView) replaces(last returnedView) bool {
	return v.stock.Epoch != last.stock.Epoch || v.epoch != last.epoch || v.stock.ViewVersion() > last.stock.ViewVersion()
}

// same reports whether two views differ in nothing but epoch and time.
func (v returnedView) same(last returnedView) bool {
	if v.stock.ViewVersion() != last.stock.ViewVersion() {
		return false
	}
	moved := *last.stock
	moved.Epoch, moved.AsOf = v.stock.Epoch, v.stock.AsOf
	return stockbinary.Equal(&moved, v.stock)
}

// Close implements models.Watch.
func (w *ViewWatch) Close() {
	w.views.remove(w)
	w.RepeatableWatch.Close()
}
