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
)

// distrust remembers the products whose committed change Redis did not take in
// time. Until the relay has carried it, this copy reads them from the database,
// so that whoever was told of a write also reads it.
type distrust struct {
	some atomic.Bool // spares the lock while all is well

	mu    sync.Mutex
	until map[string]time.Time
	all   time.Time
}

func (d *distrust) add(ids []string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.drop(now)
	if d.until == nil {
		d.until = map[string]time.Time{}
	}
	if len(d.until)+len(ids) > distrustedMax {
		clear(d.until)
		d.all = now.Add(distrustFor)
	}
	for _, id := range ids[:min(len(ids), distrustedMax)] {
		d.until[id] = now.Add(distrustFor)
	}
	d.some.Store(true)
}

// drop forgets what is over. Callers hold mu.
func (d *distrust) drop(now time.Time) {
	for id, until := range d.until {
		if !until.After(now) {
			delete(d.until, id)
		}
	}
	d.some.Store(len(d.until) > 0 || d.all.After(now))
}

// of tells whether a product is not to be read from Redis now.
func (d *distrust) of(id string, now time.Time) bool {
	if !d.some.Load() {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.all.After(now) || d.until[id].After(now) {
		return true
	}
	d.drop(now)
	return false
}
