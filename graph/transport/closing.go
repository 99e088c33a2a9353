package transport

import (
	"context"
	"sync"
	"time"

	"onhand/graph/transport/admission"
)

// openStream is a stream that a Closing knows. Neither method may block.
type openStream interface {
	// tick looks at the stream's deadlines and sends its pings.
	tick(now time.Time)
	// stop ends the stream because the server stops.
	stop()
}

// Closing knows all open streams of a server. It ends them when the server stops, and
// one ticker of it serves the deadlines and pings of all. It counts what happens to
// them. Make it with NewClosing.
type Closing struct {
	refused, closes, delayed *admission.EventCounts

	mu      sync.Mutex
	closed  bool
	streams map[openStream]struct{}
	sockets int           // of streams, those that are WebSockets
	ticks   chan struct{} // closed to end the ticker; nil while there is none
}

// NewClosing returns a Closing for a server that runs.
func NewClosing() *Closing {
	return &Closing{
		refused: admission.NewEventCounts(admission.RefusedStream, admission.RefusedByAddress, admission.RefusedOperation, admission.RefusedOperations, admission.RefusedToken),
		closes:  admission.NewEventCounts(closedByClient, closeCodes...),
		delayed: admission.NewEventCounts(delayedMessages),
		streams: map[openStream]struct{}{},
	}
}

// The labels of what is counted of WebSockets. A client may send any close code.
const (
	closedByClient  = "client"
	delayedMessages = "messages"
)

var closeCodes = []string{"1002", "1007", "1008", "1009", "1012", "1013", "4400", "4401", "4403", "4406", "4408", "4409", "4429"}

// Refused counts refused streams and operations, by the bound.
func (c *Closing) Refused() map[string]uint64 { return c.refused.Counts() }

// Closes counts the ends of WebSockets by the server's close code; "client" are those
// that the client ended with a code of its own.
func (c *Closing) Closes() map[string]uint64 { return c.closes.Counts() }

// Delayed counts messages of WebSockets that waited because the client sends too many.
func (c *Closing) Delayed() uint64 { return c.delayed.Counts()[delayedMessages] }

// Close ends all streams. It may be called more than once.
func (c *Closing) Close() {
	c.mu.Lock()
	c.closed = true
	streams := c.list(nil)
	c.mu.Unlock()
	for _, s := range streams {
		s.stop()
	}
}

// waitInterval is how often Wait counts the open streams.
const waitInterval = 10 * time.Millisecond

// Wait waits until all streams have ended, their closing handshakes included. It
// returns false when ctx ends first.
func (c *Closing) Wait(ctx context.Context) (ended bool) {
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	for c.open() > 0 {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// Sockets is how many WebSockets are open.
func (c *Closing) Sockets() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sockets
}

func (c *Closing) open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams)
}

func (c *Closing) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// add registers a stream, whose tick is called about once in every interval. It stops
// the stream when the server stops already.
func (c *Closing) add(s openStream, every time.Duration) {
	c.mu.Lock()
	c.streams[s] = struct{}{}
	if _, ok := s.(*socket); ok {
		c.sockets++
	}
	if c.ticks == nil {
		c.ticks = make(chan struct{})
		go c.tick(every, c.ticks)
	}
	closed := c.closed
	c.mu.Unlock()
	if closed {
		s.stop()
	}
}

// remove forgets a stream that has ended.
func (c *Closing) remove(s openStream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.streams[s]; !known {
		return
	}
	delete(c.streams, s)
	if _, ok := s.(*socket); ok {
		c.sockets--
	}
	if len(c.streams) == 0 {
		close(c.ticks)
		c.ticks = nil
		c.streams = map[openStream]struct{}{} // a map never shrinks
	}
}

// list appends all streams. The caller has locked mu.
func (c *Closing) list(to []openStream) []openStream {
	for s := range c.streams {
		to = append(to, s)
	}
	return to
}

func (c *Closing) tick(every time.Duration, stop <-chan struct{}) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	var streams []openStream
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			c.mu.Lock()
			streams = c.list(streams[:0])
			c.mu.Unlock()
			for _, s := range streams {
				s.tick(now)
			}
			clear(streams)
		}
	}
}
