package faults

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// reconnectAfter is a subscriber's pause before it connects again.
	reconnectAfter = 50 * time.Millisecond
	// silenceMax is how long a subscriber waits for any sign of life: the server pings every 10 s.
	silenceMax = 15 * time.Second

	watchDocument = `subscription Watch($ids: [ID!]!) { stockChanged(productIds: $ids) {
		productId version available: quantityAvailable reserved committed } }`
)

// Event is one stock that a subscriber was given.
type Event struct {
	// Session counts the subscriber's connections, from 1.
	Session   int
	ProductID string
	Version   int64
	Shelf
	// At is when it came.
	At time.Time
}

// Subscriber watches all products of a scenario, and connects again, to the next copy, whenever it is cut off.
type Subscriber struct {
	// Name says how it listens, and to which copy first.
	Name string

	scene    *Scene
	products []string
	listen   func(ctx context.Context, url string, subscribed func(), give func(Event)) error
	first    int // the copy it begins with
	stop     context.CancelFunc
	ended    chan struct{}
	sessions atomic.Int64
	live     atomic.Bool // it has been given every product in this session

	mu     sync.Mutex
	events []Event
	ends   []string // how sessions ended
}

// subscribe starts the plan's subscribers and waits until each has the current stock.
func (s *Scene) subscribe() {
	for n := range s.plan.Subscribers {
		s.Subscribers = append(s.Subscribers, s.Watch("websocket", n), s.Watch("sse", n))
	}
	for _, sub := range s.Subscribers {
		s.await(startLimit, sub.Name+" subscribed", sub.live.Load)
	}
}

// Watch starts one more subscriber to all products, by "websocket" or "sse", at the copy of that number.
func (s *Scene) Watch(kind string, at int) *Subscriber { return s.WatchThese(kind, at, s.products) }

// WatchThese is Watch for some products.
func (s *Scene) WatchThese(kind string, at int, products []string) *Subscriber {
	at %= len(s.Copies)
	sub := &Subscriber{Name: fmt.Sprintf("%s %d at %s", kind, len(s.Subscribers), s.Copies[at].Name), scene: s, products: products, first: at, ended: make(chan struct{})}
	sub.listen = sub.overWebSocket
	if kind == "sse" {
		sub.listen = sub.overEvents
	}
	ctx, stop := context.WithCancel(context.Background())
	sub.stop = stop
	go sub.run(ctx)
	s.t.Cleanup(sub.Stop)
	return sub
}

// Stop leaves.
func (sub *Subscriber) Stop() {
	sub.stop()
	<-sub.ended
}

// Sessions is how often it has connected.
func (sub *Subscriber) Sessions() int { return int(sub.sessions.Load()) }

// Live tells whether it has been given every product since it last connected.
func (sub *Subscriber) Live() bool { return sub.live.Load() }

// Ends says how its sessions ended.
func (sub *Subscriber) Ends() []string {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return append([]string{}, sub.ends...)
}

// Events is a copy of what it was given.
func (sub *Subscriber) Events() []Event {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	return append([]Event{}, sub.events...)
}

func (sub *Subscriber) run(ctx context.Context) {
	defer close(sub.ended)
	for n := sub.first; ctx.Err() == nil; n++ {
		seen := map[string]bool{}
		subscribed := func() { sub.sessions.Add(1) }
		err := sub.listen(ctx, sub.scene.Copies[n%len(sub.scene.Copies)].URL(), subscribed, func(e Event) {
			sub.mu.Lock()
			e.Session, e.At = int(sub.sessions.Load()), time.Now()
			sub.events = append(sub.events, e)
			sub.mu.Unlock()
			seen[e.ProductID] = true
			if len(seen) == len(sub.products) {
				sub.live.Store(true)
			}
		})
		sub.live.Store(false)
		sub.mu.Lock()
		sub.ends = append(sub.ends, fmt.Sprint(err))
		sub.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(reconnectAfter):
		}
	}
}

// latest is the newest event of each product, whatever the session.
func (sub *Subscriber) latest() map[string]Event {
	latest := map[string]Event{}
	for _, e := range sub.Events() {
		latest[e.ProductID] = e
	}
	return latest
}

// order checks the promise that nothing ever goes backwards: within a session each version of a product is newer than
// the one before, and a new session begins with nothing older than what was seen.
func (sub *Subscriber) order() []string {
	var broken []string
	last := map[string]Event{}
	for _, e := range sub.Events() {
		before, known := last[e.ProductID]
		switch {
		case known && e.Version < before.Version,
			known && e.Version == before.Version && e.Session == before.Session:
			broken = append(broken, fmt.Sprintf("%s was given %s version %d (session %d) after version %d (session %d)",
				sub.Name, e.ProductID, e.Version, e.Session, before.Version, before.Session))
		}
		last[e.ProductID] = e
	}
	return broken
}

// believe forgets all events but the newest of each product: from here on the subscriber is in another history.
func (sub *Subscriber) believe() {
	sub.mu.Lock()
	defer sub.mu.Unlock()
	latest := map[string]Event{}
	for _, e := range sub.events {
		latest[e.ProductID] = e
	}
	sub.events = slices.Collect(maps.Values(latest))
}

// String is the subscriber's story.
func (sub *Subscriber) String() string {
	return fmt.Sprintf("%s: %d events in %d sessions, ends: %s", sub.Name, len(sub.Events()), sub.Sessions(), strings.Join(sub.Ends(), "; "))
}
