package store

import (
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of distrust.
const (
	// distrustFor is how long Redis is not asked for a product that it could
	// not be told of: by then the relay has told it, or it is away and nothing
	// is read from it anyway.
	distrustFor = 5 * time.Second
	// distrustedMax bounds the products remembered one by one; beyond it
	// nothing at all is read from Redis for that time.
	distrustedMax = 10_000
	// awayDoubt is how long after Redis was away nothing is read from it: the
	// relay tries again every two seconds, and until then Redis says what was
	// true before.
	awayDoubt = 3 * time.Second
)

// distrust remembers the products whose committed change Redis did not take in
// time. Until the relay has carried it, this copy reads them from the database,
// so that whoever was told of a write also reads it.
type distrust struct {
	last atomic.Int64 // when all is over, in Unix nanoseconds: spares the lock while all is well

	mu    sync.RWMutex
	until map[string]time.Time
	all   time.Time
}

func (d *distrust) add(ids []string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.until == nil || d.over(now) {
		d.until = map[string]time.Time{}
	}
	end := now.Add(distrustFor)
	if len(d.until)+len(ids) > distrustedMax {
		d.until = map[string]time.Time{}
		d.all = end
	}
	for _, id := range ids[:min(len(ids), distrustedMax)] {
		d.until[id] = end
	}
	d.last.Store(end.UnixNano())
}

// everything distrusts all products for a while.
func (d *distrust) everything(now time.Time, during time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.all = now.Add(during)
	d.last.Store(max(d.last.Load(), d.all.UnixNano()))
}

func (d *distrust) over(now time.Time) bool { return now.UnixNano() >= d.last.Load() }

// among tells which of the products are not to be read from Redis now; nil
// when none. It costs as much as is asked, however many are remembered.
func (d *distrust) among(ids []string, now time.Time) map[string]bool {
	if d.over(now) {
		return nil
	}
	d.mu.RLock()
	defer d.mu.RUnlock()
	var found map[string]bool
	for _, id := range ids {
		if d.all.After(now) || d.until[id].After(now) {
			if found == nil {
				found = map[string]bool{}
			}
			found[id] = true
		}
	}
	return found
}
