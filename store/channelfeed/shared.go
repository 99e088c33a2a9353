package channelfeed

import (
	"hash/maphash"
	"sync"

	"onhand/models"
)

// sharedMax is how many views are remembered, so that all watches of a channel return
// the same one. It covers the changes of a moment; a view that is not found is made
// again.
const sharedMax = 1024

// sharedViews makes one view for all watches of a channel.
type sharedViews struct {
	entries [sharedMax]sharedView
}

type sharedView struct {
	mu   sync.Mutex
	key  viewKey
	view *models.Stock
}

// viewKey is what a view is made of. Nothing changes these values after they are made.
type viewKey struct {
	stock     *models.Stock
	members   *models.ChannelMembers
	directory *models.Directory
}

var viewSeed = maphash.MakeSeed()

// of returns the view of a stock.
func (s *sharedViews) of(stock *models.Stock, members *models.ChannelMembers, directory *models.Directory) *models.Stock {
	key := viewKey{stock, members, directory}
	e := &s.entries[maphash.Comparable(viewSeed, key)%sharedMax]
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.key != key || e.view == nil {
		e.key, e.view = key, directory.Placed(stock.In(members), members.ChannelID)
	}
	return e.view
}
