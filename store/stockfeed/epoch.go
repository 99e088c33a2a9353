package stockfeed

import (
	"sync"
	"time"
)

// EpochSource knows the epoch that the database is in.
type EpochSource interface {
	// Epoch is empty until this instance has read it. It must not block. Call
	// Hub.Refresh after it has changed.
	Epoch() string
}

// epochTracker knows when the epoch last changed.
type epochTracker struct {
	source EpochSource

	mu        sync.Mutex
	epoch     string    // as source last returned it
	changedAt time.Time // when it replaced another epoch; zero: never
}

// current returns the epoch, and how long ago it replaced another one.
func (t *epochTracker) current() (epoch string, age time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if epoch = t.source.Epoch(); epoch != t.epoch {
		if t.epoch != "" {
			t.changedAt = time.Now()
		}
		t.epoch = epoch
	}
	return epoch, time.Since(t.changedAt)
}
