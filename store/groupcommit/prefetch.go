package groupcommit

// Products that the snapshot cache lacks are read while another batch is in flight, so
// that their writes can be decided optimistically too. Without it the first write of a
// product is decided under lock, and all writes behind it wait: 512 callers on 10,000
// products that nobody asked for yet cost 150 instead of 115 µs of CPU a call
// (docs/decisions.md, record 16). [CommitterSwitches].NoPrefetch switches it off.

import (
	"context"
	"time"
)

// Bounds of one read.
const (
	// prefetchMax is about how many products one read asks for.
	prefetchMax = 1000
	// prefetchWait bounds it. Writes whose products are not there by then are decided
	// under lock, which reads the products too.
	prefetchWait = 500 * time.Millisecond
)

// prefetch starts to read the products that the queued writes lack, if the first of
// them lacks any. It reports true when that one is to be added once more, without
// such a read. Callers hold mu.
func (c *Committer) prefetch() (again bool) {
	if c.without.NoPrefetch {
		return len(c.database.MissingOnce(c.queue[0].write)) > 0
	}
	var ids []string
	for _, w := range c.queue {
		ids = append(ids, c.database.MissingOnce(w.write)...)
		if len(ids) == 0 || len(ids) >= prefetchMax { // the first is not kept waiting for the others
			break
		}
	}
	if len(ids) == 0 {
		return false
	}
	c.prefetching = true
	go c.fetch(ids)
	return false
}

// fetch reads products. Of those it cannot read, the writes are decided under lock,
// and their callers get the error of that.
func (c *Committer) fetch(ids []string) {
	ctx, cancel := context.WithTimeout(context.Background(), prefetchWait)
	defer cancel()
	_ = c.database.Fetch(ctx, ids)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.prefetching = false
	c.dispatch()
}
