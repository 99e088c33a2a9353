package transport

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Closing tells all streams of a server that it stops. Make it with
// NewClosing.
type Closing struct {
	once sync.Once
	done chan struct{}
	open atomic.Int64 // streams that have not ended yet
}

// NewClosing makes a Closing that has not happened yet.
func NewClosing() *Closing { return &Closing{done: make(chan struct{})} }

// Close ends all streams. It may be called more than once.
func (c *Closing) Close() { c.once.Do(func() { close(c.done) }) }

// waitTick is how often Wait looks.
const waitTick = 10 * time.Millisecond

// Wait returns when all streams have ended, their closing handshakes included,
// or when ctx does. It tells which.
func (c *Closing) Wait(ctx context.Context) (ended bool) {
	tick := time.NewTicker(waitTick)
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

// with gives a context that also ends when the server stops.
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
