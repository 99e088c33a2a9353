package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Closing ends all streams of a server that stops. Make it with NewClosing.
type Closing struct {
	once sync.Once
	done chan struct{}
	open atomic.Int64 // streams that have not ended
}

// NewClosing returns a Closing for a server that runs.
func NewClosing() *Closing { return &Closing{done: make(chan struct{})} }

// Close ends all streams. It may be called more than once.
func (c *Closing) Close() { c.once.Do(func() { close(c.done) }) }

// waitInterval is how often Wait counts the open streams.
const waitInterval = 10 * time.Millisecond

// Wait waits until all streams have ended, their closing handshakes included. It
// returns false when ctx ends first.
func (c *Closing) Wait(ctx context.Context) (ended bool) {
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	for c.open.Load() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

func (c *Closing) closed() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// with returns a context that also ends when the server stops.
func (c *Closing) with(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := make(chan struct{})
	c.open.Add(1)
	go func() {
		select {
		case <-c.done:
			cancel()
		case <-stop:
		}
	}()
	return ctx, sync.OnceFunc(func() {
		close(stop)
		cancel()
		c.open.Add(-1)
	})
}
