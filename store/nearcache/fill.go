package nearcache

import (
	"context"
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"time"

	"onhand/models"
	"onhand/models/poison"
	"onhand/models/stockbinary"
)

// stripe returns the stripe of a product.
func (c *NearCache) stripe(id string) *stripe {
	return &c.stripes[maphash.String(c.seed, id)%stripesMax]
}

// readShared reads from the shared reader and keeps what may be kept. current is nil
// when nothing may.
func (c *NearCache) readShared(ctx context.Context, current *generation, ids []string) ([]*models.Stock, error) {
	if current == nil {
		return c.shared.Stocks(ctx, ids)
	}
	tickets := make([]uint64, len(ids))
	for i, id := range ids {
		s := c.stripe(id)
		s.mu.Lock()
		tickets[i] = s.changes
		s.mu.Unlock()
	}
	read, err := c.shared.Stocks(ctx, ids)
	var unreadable *poison.RowsError
	if errors.As(err, &unreadable) {
		for id := range unreadable.Causes {
			c.drop(id, dropPoison)
		}
	}
	for i, stock := range read {
		if stock != nil && stock.Epoch == current.epoch {
			c.keep(current, tickets[i], stock)
		}
	}
	return read, err
}

// keep puts a stock that was read into the cache: a newer one in place of an entry, and
// one that Redis had if its ticket still counts.
func (c *NearCache) keep(current *generation, ticket uint64, stock *models.Stock) {
	s := c.stripe(stock.ProductID)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := c.entry(stock.ProductID)
	if e != nil && e.usable(current, c.clock()) {
		c.replace(e, stock)
		return
	}
	if stock.Source != models.FromCache || s.changes != ticket || c.generation.Load() != current {
		return
	}
	if e != nil && e.generation == current && e.stock.Load().Version > stock.Version {
		return
	}
	if e == nil && c.full.Load() && rand.Uint32N(fullFills) > 0 {
		return
	}
	until := c.clock().monotonic + int64(jitteredAge())
	e = newNearEntry(current, stock, until)
	c.entries.Set(e.stock.Load().ProductID, e) // its own memory
	c.counters.fills.Add(1)
}

// entry returns the entry of a product, without counting as a read; nil when there is
// none. The caller has locked the product's stripe.
func (c *NearCache) entry(id string) *nearEntry {
	found, ok := c.entries.GetEntryQuietly(id)
	if !ok {
		return nil
	}
	return found.Value
}

// replace puts a newer stock into an entry. The caller has locked the stripe, and the
// stock has the epoch of the entry.
func (c *NearCache) replace(e *nearEntry, stock *models.Stock) {
	before := e.stock.Load()
	if stock.Version <= before.Version {
		return
	}
	next, weight := owned(stock, before, e.generation.epoch)
	if weight <= e.weight {
		e.stock.Store(next)
		return
	}
	heavier := &nearEntry{generation: e.generation, weight: weight, until: e.until}
	heavier.stock.Store(next)
	c.entries.Set(next.ProductID, heavier)
}

// Deliver takes stocks that a client of this instance is about to get: of a commit, a
// message or a read. It does not block.
func (c *NearCache) Deliver(stocks []*models.Stock) {
	if c.entries == nil {
		return
	}
	for _, stock := range stocks {
		if stock != nil {
			c.change(stock.ProductID, func(*nearEntry) *models.Stock { return stock })
		}
	}
}

// message implements feedHandler.
func (c *NearCache) message(productID, payload string) {
	if c.onChange != nil {
		c.onChange(productID)
	}
	c.change(productID, func(e *nearEntry) *models.Stock {
		if version, epoch, ok := stockbinary.MessageVersion(productID, payload); ok && epoch == e.generation.epoch && version <= e.stock.Load().Version {
			return e.stock.Load()
		}
		stock, err := stockbinary.DecodeMessage(payload)
		if err != nil || stock.ProductID != productID {
			return nil
		}
		return stock
	})
}

// change counts a change of a product, and gives its entry the stock that next returns,
// if that is newer. A nil stock, and one of another epoch, drops the entry.
func (c *NearCache) change(id string, next func(*nearEntry) *models.Stock) {
	current := c.generation.Load()
	s := c.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	if current == nil {
		return
	}
	e := c.entry(id)
	if e == nil || e.generation != current {
		return
	}
	stock := next(e)
	switch {
	case stock == nil:
		c.remove(id, dropUnreadable)
	case stock.Epoch != current.epoch:
		c.remove(id, dropEpoch)
	default:
		c.replace(e, stock)
	}
}

// Bypass has products read from the database for a while: Redis missed a committed
// change of theirs.
func (c *NearCache) Bypass(ids []string) {
	c.shared.Bypass(ids) // first: a read after the drop must not find the old value in Redis
	if c.entries == nil {
		return
	}
	for _, id := range ids {
		c.drop(id, dropUnpublished)
	}
}

// BypassAll has all products read from the database for a while.
func (c *NearCache) BypassAll(duration time.Duration) {
	c.shared.BypassAll(duration)
	if current := c.generation.Load(); current != nil {
		c.renew(current, dropBypass)
	}
}

// drop removes a product, and refuses the values that are being read.
func (c *NearCache) drop(id string, reason dropReason) {
	s := c.stripe(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes++
	c.remove(id, reason)
}

// remove removes the entry of a product. The caller has locked the stripe.
func (c *NearCache) remove(id string, reason dropReason) {
	if _, present := c.entries.Invalidate(id); present {
		c.counters.drops[reason].Add(1)
	}
}

// opened implements feedHandler: entries may be filled and served.
func (c *NearCache) opened() { c.generation.Store(&generation{epoch: c.epochs.Epoch()}) }

// closed implements feedHandler: changes may be missing.
func (c *NearCache) closed() {
	if c.generation.Swap(nil) != nil {
		c.clear(dropDisconnected)
	}
}

// renew drops all entries of a generation, unless that was done already.
func (c *NearCache) renew(current *generation, reason dropReason) {
	if c.generation.CompareAndSwap(current, &generation{epoch: c.epochs.Epoch()}) {
		c.clear(reason)
	}
}

// clear frees the memory of entries that are not served any more.
func (c *NearCache) clear(reason dropReason) {
	c.full.Store(false)
	c.counters.drops[reason].Add(int64(c.entries.EstimatedSize()))
	c.entries.InvalidateAll()
}
