package pace

import (
	"math/rand/v2"
	"time"
)

// Around is about d, a tenth more or less at random.
func Around(d time.Duration) time.Duration {
	tenth := d / 10
	return d - tenth + rand.N(2*tenth+1)
}

// Backoff is a wait between attempts that grows while something is away. The
// first is Min, each next one twice as long up to Max; each is shortened at
// random by up to half. It is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	current  time.Duration
}

// Next is how long to wait before the next attempt.
func (b *Backoff) Next() time.Duration {
	b.current = min(max(2*b.current, b.Min), b.Max)
	return b.current/2 + rand.N(b.current/2+1)
}

// Reset begins anew: what was away is back.
func (b *Backoff) Reset() { b.current = 0 }
