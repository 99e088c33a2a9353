package load

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onhand/faults/model"
)

const (
	// reconnectAfter is a subscriber's pause before it connects again.
	reconnectAfter = 50 * time.Millisecond
	// silenceMax is how long a subscriber waits for any message: the server pings every 10 s.
	silenceMax = 15 * time.Second
)

// Protocol is how a subscriber connects.
type Protocol string

// The protocols.
const (
	WebSocket Protocol = "websocket"
	SSE       Protocol = "sse"
)

// StockEvent is one stock that a subscriber received.
type StockEvent struct {
	// Session counts the subscriber's connections, from 1.
	Session   int
	ProductID string
	Version   int64
	model.StateCounts
	// At is when it came.
	At time.Time
}

// Subscriber watches products, and connects again, to the next instance, whenever it is cut off.
type Subscriber struct {
	// Name has the protocol and the instance that it connects to first.
	Name string
	// Protocol is how it connects.
	Protocol Protocol

	target   *Target
	products []string
	instance int // the number of the instance that it connects to first
	stop     context.CancelFunc
	ended    chan struct{}
	sessions atomic.Int64
	live     atomic.Bool // it has received every product in this session

	mu     sync.Mutex
	events []StockEvent
	ends   []string // how sessions ended
}

// Subscribe starts a subscriber to some products, at the instance of that number first.
func Subscribe(target *Target, protocol Protocol, instance int, products []string) *Subscriber {
	sub := &Subscriber{
		Name:     fmt.Sprintf("%s at instance %d", protocol, instance%len(target.URLs)),
		Protocol: protocol, target: target, products: products, instance: instance, ended: make(chan struct{}),
	}
	ctx, stop := context.WithCancel(context.Background())
	sub.stop = stop
	go sub.run(ctx)
	target.T.Cleanup(sub.Stop)
	return sub
}

// Stop disconnects.
func (sub *Subscriber) Stop() {
	sub.stop()
	<-sub.ended
}

// Sessions is how often it has connected.
func (sub *Subscriber) Sessions() int { return int(sub.sessions.Load()) }

// Live reports whether it has received every product since it last connected.
func (sub *Subscriber) Live() bool { return sub.live.Load() }

// Ends are how its sessions ended.
func (sub *Subscriber) Ends() []string {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return slices.Clone(sub.ends)
}

// Events are those that it received.
func (sub *Subscriber) Events() []StockEvent {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return slices.Clone(sub.events)
}

func (sub *Subscriber) run(ctx context.Context) {
	defer close(sub.ended)
	for n := sub.instance; ctx.Err() == nil; n++ {
		err := sub.listen(ctx, sub.target.url(n))
		sub.live.Store(false)
		sub.mu.Lock()
		sub.ends = append(sub.ends, fmt.Sprint(err))
		sub.mu.Unlock()
		sleep(ctx, reconnectAfter)
	}
}

// listen is one session: it listens until the connection ends, and reports how.
func (sub *Subscriber) listen(ctx context.Context, url string) error {
	seen := map[string]bool{}
	receive := func(e StockEvent) {
		sub.mu.Lock()
		e.Session, e.At = int(sub.sessions.Load()), time.Now()
		sub.events = append(sub.events, e)
		sub.mu.Unlock()
		seen[e.ProductID] = true
		if len(seen) == len(sub.products) {
			sub.live.Store(true)
		}
	}
	connected := func() { sub.sessions.Add(1) }
	request := watchRequest(watchDocument, sub.products)
	if sub.Protocol == SSE {
		return listenSSE(ctx, sub.target.streamClient(), url, request, connected, receive)
	}
	return listenWebSocket(ctx, sub.target.streamClient(), url, request, connected, receive)
}

// Latest is the newest event of each product, whatever the session.
func (sub *Subscriber) Latest() map[string]StockEvent {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	latest := map[string]StockEvent{}
	for _, e := range sub.events {
		latest[e.ProductID] = e
	}
	return latest
}

// Misordered lists what breaks the promise that nothing goes backwards: within a session each version of a product is
// newer than the one before, and a new session begins with nothing older than what was received.
func (sub *Subscriber) Misordered() []string {
	var found []string
	last := map[string]StockEvent{}
	for _, e := range sub.Events() {
		before, known := last[e.ProductID]
		switch {
		case known && e.Version < before.Version,
			known && e.Version == before.Version && e.Session == before.Session:
			found = append(found, fmt.Sprintf("%s received %s version %d (session %d) after version %d (session %d)",
				sub.Name, e.ProductID, e.Version, e.Session, before.Version, before.Session))
		}
		last[e.ProductID] = e
	}
	return found
}

// KeepLatest forgets all events but the newest of each product: those before belong to another epoch, or were checked.
func (sub *Subscriber) KeepLatest() {
	latest := sub.Latest()
	sub.mu.Lock()
	defer sub.mu.Unlock()
	sub.events = slices.Collect(maps.Values(latest))
}

// String sums up the subscriber.
func (sub *Subscriber) String() string {
	return fmt.Sprintf("%s: %d events in %d sessions, ends: %s", sub.Name, len(sub.Events()), sub.Sessions(), strings.Join(sub.Ends(), "; "))
}
