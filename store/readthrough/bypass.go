package readthrough

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// BypassDuration is how long a product is read from the database after Redis
	// missed a write of it. By then the relay has repaired Redis, or Redis is away
	// and nothing is read from it anyway.
	BypassDuration = 5 * time.Second
	// bypassedMax bounds the products that are listed one by one. Beyond it all
	// products are read from the database for that time.
	bypassedMax = 10_000
)

// cacheBypass lists the products whose committed change Redis did not take in time.
// Until the relay has repaired Redis, this instance reads them from the database, so
// that a client whose write was answered also reads it.
type cacheBypass struct {
	lastEnd atomic.Int64 // of every bypass, in Unix nanoseconds; spares the lock while there is none

	mu     sync.RWMutex
	ends   map[string]time.Time // by product
	allEnd time.Time
}

// add begins a bypass for these products.
func (b *cacheBypass) add(ids []string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends == nil || b.ended(now) {
		b.ends = map[string]time.Time{}
	}
	end := now.Add(BypassDuration)
	if len(b.ends)+len(ids) > bypassedMax {
		b.ends = map[string]time.Time{}
		b.allEnd = end
	}
	for _, id := range ids[:min(len(ids), bypassedMax)] {
		b.ends[id] = end
	}
	b.lastEnd.Store(max(b.lastEnd.Load(), end.UnixNano()))
}

// addAll begins a bypass for all products.
func (b *cacheBypass) addAll(now time.Time, duration time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.allEnd = now.Add(duration)
	b.lastEnd.Store(max(b.lastEnd.Load(), b.allEnd.UnixNano()))
}

func (b *cacheBypass) ended(now time.Time) bool { return now.UnixNano() >= b.lastEnd.Load() }

// among returns which of the products are bypassed now; nil when none is. Its
// cost depends on ids alone, however many products are listed.
func (b *cacheBypass) among(ids []string, now time.Time) map[string]bool {
	if b.ended(now) {
		return nil
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	var found map[string]bool
	for _, id := range ids {
		if b.allEnd.After(now) || b.ends[id].After(now) {
			if found == nil {
				found = map[string]bool{}
			}
			found[id] = true
		}
	}
	return found
}
