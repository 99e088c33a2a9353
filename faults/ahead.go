package faults

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// aheadEvery is how often Redis is compared with the database while a scenario runs.
const aheadEvery = 50 * time.Millisecond

// aheadMax bounds what is remembered of a Redis that does wrong again and again.
const aheadMax = 20

// ahead looks all through a scenario whether Redis ever says what the database has not committed: it reads Redis first
// and the database after it, so that a version in Redis must have been committed already. And whether Redis ever says
// less than it did.
type ahead struct {
	stop  context.CancelFunc
	ended chan struct{}

	mu     sync.Mutex
	last   map[string]int64 // versions of the last look
	epoch  string           // and its history
	found  []string
	back   []string
	looked int
}

func (s *Scene) watchAhead() *ahead {
	ctx, stop := context.WithCancel(context.Background())
	a := &ahead{stop: stop, ended: make(chan struct{})}
	go func() {
		defer close(a.ended)
		for ctx.Err() == nil {
			a.look(ctx, s)
			select {
			case <-ctx.Done():
			case <-time.After(aheadEvery):
			}
		}
	}()
	s.t.Cleanup(a.end)
	return a
}

func (a *ahead) end() {
	a.stop()
	<-a.ended
}

// look compares once; where one of the two is away there is nothing to compare.
func (a *ahead) look(ctx context.Context, s *Scene) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	_, epoch, err := s.truths(ctx)
	if err != nil {
		return
	}
	cached, err := s.cached(ctx, epoch)
	if err != nil {
		return
	}
	stored, after, err := s.truths(ctx)
	if err != nil || after != epoch {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.looked++
	if a.epoch != epoch {
		a.epoch, a.last = epoch, map[string]int64{}
	}
	for product, c := range cached {
		if c.Version > stored[product].Version && len(a.found) < aheadMax {
			a.found = append(a.found, fmt.Sprintf("Redis said version %d of %s, and the database had %d", c.Version, product, stored[product].Version))
		}
		if c.Version < a.last[product] && len(a.back) < aheadMax {
			a.back = append(a.back, fmt.Sprintf("Redis said version %d of %s, and later version %d", a.last[product], product, c.Version))
		}
		a.last[product] = c.Version
	}
}

// result is what was ahead, what went back, and how often it was looked for.
func (a *ahead) result() (found, back []string, looked int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.found, a.back, a.looked
}
