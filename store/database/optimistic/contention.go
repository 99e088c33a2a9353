package optimistic

import "time"

// Conditional decrement for contended products. Two instances that sell one product
// by compare-and-set refuse each other's batches: together they reached 0.3 of one
// instance, and 0.6 to 1.1 with conditional decrement (docs/decisions.md, record 14). A
// benchmark switches it off with [Executor.NoConditional].

// Bounds of contention.
const (
	// ContendedFor is how long a product counts as contended after another instance was
	// found to have changed it: it is likely to do so again. The time doubles with every
	// such change, up to contendedForMax, and halves with every batch that met none.
	ContendedFor    = 250 * time.Millisecond
	contendedForMax = 4 * time.Second
)

// contention is what is known of a product that another instance changes too.
type contention struct {
	doublings int
	until     time.Time // by the clock of this process
}

func (c *cache) isContended(id string) bool {
	known := c.contended[id]
	return known != nil && time.Now().Before(known.until)
}

// ExpectContention has batches of these products sent as conditional decrements for a
// moment, because the sweeper is about to change them. Batches with products of several
// levels are still sent as compare-and-set, and are refused if the sweeper was first.
func (e *Executor) ExpectContention(products []string) {
	if e == nil {
		return
	}
	c := e.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	until := time.Now().Add(e.ContendedFor)
	for _, id := range products {
		if p := c.products[id]; p == nil || !p.singleLevel() {
			continue
		}
		if known := c.contentionOf(id); known.until.Before(until) {
			known.until = until
		}
	}
}

// contentionOf returns what is known of a product's contention, and a new record where
// nothing is.
func (c *cache) contentionOf(id string) *contention {
	known := c.contended[id]
	if known == nil {
		for other := range c.contended {
			if len(c.contended) < CachedProductsMax {
				break
			}
			delete(c.contended, other)
		}
		known = new(contention)
		c.contended[id] = known
	}
	return known
}

// noteContention notes that another instance changed a product.
func (c *cache) noteContention(id string) {
	known := c.contentionOf(id)
	if until := time.Now().Add(min(ContendedFor<<known.doublings, contendedForMax)); known.until.Before(until) {
		known.until = until
	}
	if ContendedFor<<known.doublings < contendedForMax {
		known.doublings++
	}
}

// relax notes that a batch met no change by another instance.
func (c *cache) relax(b *ReservationBatch) {
	for id := range b.products {
		known := c.contended[id]
		switch {
		case known == nil:
		case known.doublings > 0:
			known.doublings--
		case !c.isContended(id):
			delete(c.contended, id)
		}
	}
}
