package backoff

import (
	"math/rand/v2"
	"time"
)

// Jitter returns d, changed at random by at most a tenth.
func Jitter(d time.Duration) time.Duration {
	tenth := d / 10
	return d - tenth + rand.N(2*tenth+1)
}

// Backoff gives the waits between retries. The first is Min, and each next one
// is twice as long, up to Max. Each is shortened at random by at most half. It
// is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	current  time.Duration
}

// Next returns the wait before the next attempt.
func (b *Backoff) Next() time.Duration {
	b.current = min(max(2*b.current, b.Min), b.Max)
	return b.current/2 + rand.N(b.current/2+1)
}

// Reset makes the next wait the first one again. Call it after a success.
func (b *Backoff) Reset() { b.current = 0 }
