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

// sourceDatabase is the source of a stock that the instance did not get from Redis: of its own commits, too.
const sourceDatabase = "DATABASE"

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
	Session int
	// Instance is the number of the instance that sent it, and Since is when the subscriber began to connect for that session.
	Instance  int
	Since     time.Time
	ProductID string
	Version   int64
	Source    string
	model.StateCounts
	// At is when it came.
	At time.Time
}

// Crash is the death of an instance that had committed while it could not reach Redis. What it sent since From it had
// delivered to its own subscribers alone: nothing else had it until the relay of another instance published it.
type Crash struct {
	Instance     int
	From, Killed time.Time
	// Until is when everyone must have what it sent.
	Until time.Time
}

// sent reports whether an event is of that instance, before its death, and perhaps not in Redis: it did not come from there.
func (c Crash) sent(e StockEvent) bool {
	return e.Instance == c.Instance && e.Since.Before(c.Killed) && !e.At.Before(c.From) && e.Source == sourceDatabase
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
		err := sub.listen(ctx, n)
		sub.live.Store(false)
		sub.mu.Lock()
		sub.ends = append(sub.ends, fmt.Sprint(err))
		sub.mu.Unlock()
		sleep(ctx, reconnectAfter)
	}
}

// listen is one session, at the instance of that number: it listens until the connection ends, and reports how.
func (sub *Subscriber) listen(ctx context.Context, n int) error {
	url, instance, since := sub.target.url(n), n%len(sub.target.URLs), time.Now()
	seen := map[string]bool{}
	receive := func(e StockEvent) {
		sub.mu.Lock()
		e.Session, e.Instance, e.Since, e.At = int(sub.sessions.Load()), instance, since, time.Now()
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
//
// There is one exception. An instance that cannot reach Redis delivers what it commits to its own subscribers at once. When
// it dies then, no other instance knows of that before a relay publishes it (docs/failures.md: up to 2 s), so a subscriber
// that connects again may first get what Redis has, and keeps the higher version. Until a crash's Until, versions may
// therefore be lower than what the crashed instance alone had sent, and never lower than anything else; and by then that
// version or a newer one must have come again.
func (sub *Subscriber) Misordered(crashes ...Crash) []string {
	var found []string
	last := map[string]StockEvent{}           // of each product
	newest := map[string]map[int]StockEvent{} // of each product, by the crash whose instance sent it; the others at -1
	events := sub.Events()
	for n, e := range events {
		if newest[e.ProductID] == nil {
			newest[e.ProductID] = map[int]StockEvent{}
		}
		wrong := func(before StockEvent) {
			found = append(found, fmt.Sprintf("%s received %s version %d (session %d) after version %d (session %d, %s before)",
				sub.Name, e.ProductID, e.Version, e.Session, before.Version, before.Session, e.At.Sub(before.At).Round(time.Millisecond)))
		}
		if before, known := last[e.ProductID]; known && e.Session == before.Session && e.Version <= before.Version {
			wrong(before)
		} else {
			for crash, before := range newest[e.ProductID] {
				if e.Version < before.Version && (crash < 0 || e.Session == before.Session || !caughtUp(events[n:], before, crashes[crash].Until)) {
					wrong(before)
					break
				}
			}
		}
		last[e.ProductID] = e
		by := slices.IndexFunc(crashes, func(c Crash) bool { return c.sent(e) })
		if e.Version >= newest[e.ProductID][by].Version {
			newest[e.ProductID][by] = e
		}
	}
	return found
}

// caughtUp reports whether events, the first of which is older than one before them, have that version again in time.
func caughtUp(events []StockEvent, before StockEvent, until time.Time) bool {
	return slices.ContainsFunc(events, func(e StockEvent) bool {
		return e.ProductID == before.ProductID && e.Version >= before.Version && !e.At.After(until)
	})
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
