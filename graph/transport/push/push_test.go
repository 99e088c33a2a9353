package push

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// taskFunc is a Task.
type taskFunc func()

// Run implements Task.
func (f taskFunc) Run() { f() }

// TestWorkers: every task runs once, at most as many at a time as there are processors,
// and no memory stays.
func TestWorkers(t *testing.T) {
	t.Parallel()
	var w Workers
	var running, most, ran atomic.Int64
	var done sync.WaitGroup
	const adders, each = 20, 2000
	done.Add(adders * each)
	for range adders {
		go func() {
			for range each {
				w.Add(taskFunc(func() {
					defer done.Done()
					if n := running.Add(1); n > most.Load() {
						most.Store(n)
					}
					ran.Add(1)
					running.Add(-1)
				}))
			}
		}()
	}
	done.Wait()
	assert.EqualValues(t, adders*each, ran.Load())
	assert.LessOrEqual(t, most.Load(), int64(runtime.GOMAXPROCS(0)))
	for ended := false; !ended; runtime.Gosched() {
		w.mu.Lock()
		ended = w.running == 0
		w.mu.Unlock()
	}
	assert.Nil(t, w.waiting)
}

// source is a Source without results.
type source struct{}

// Next implements Source.
func (source) Next() ([]byte, error) { return nil, nil }

// Close implements Source.
func (source) Close() {}

func TestOffer(t *testing.T) {
	t.Parallel()
	assert.Nil(t, OfferIn(t.Context()))
	offer := &Offer{Notify: func(bool) {}}
	ctx := With(context.Background(), offer)
	assert.Nil(t, OfferIn(ctx).Accepted())
	OfferIn(ctx).Accept(source{})
	assert.Equal(t, source{}, offer.Accepted())
}
