package faults

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// shopperThink is how long a shopper looks at a page before the next.
	shopperThink = 10 * time.Millisecond
	// moreLimit bounds the wait for operations under load.
	moreLimit = 60 * time.Second

	pageDocument = `query Page($ids: [ID!]!) { stocks(productIds: $ids) { productId version available: quantityAvailable } }`
)

// Load is customers and shoppers at work. Customers' operations go into the history; shoppers read pages as storefronts
// do, from Redis where it can be, once each, and are counted.
type Load struct {
	// Codes are the customers' attempts that got no definite answer.
	Codes Codes
	// PageCodes are the shoppers' pages that were not answered.
	PageCodes Codes

	scene    *Scene
	patience context.Context
	giveUp   context.CancelFunc
	stop     context.CancelFunc
	people   sync.WaitGroup
	ticks    atomic.Int64

	mu      sync.Mutex
	pages   []page
	slowest time.Duration // of the customers' attempts
}

// page is one page read by a shopper.
type page struct {
	at, took time.Duration // since the load began; how long it took
	answered bool
}

// Load starts the plan's customers and shoppers.
func (s *Scene) Load() *Load { return s.LoadOf((*customer).shop) }

// LoadOf starts customers of another habit, and the plan's shoppers.
func (s *Scene) LoadOf(h func(*customer, context.Context)) *Load {
	l := &Load{scene: s}
	l.patience, l.giveUp = context.WithCancel(context.Background())
	ctx, stop := context.WithCancel(l.patience)
	l.stop = stop
	for n := range s.plan.Customers {
		s.customers++
		c := &customer{number: s.customers, scene: s, load: l, dice: chance(s.t, "customer "+strconv.Itoa(s.customers)), nearest: n}
		l.people.Go(func() { c.live(ctx, h) })
	}
	began := time.Now()
	for n := range s.plan.Shoppers {
		l.people.Go(func() { l.browse(ctx, n, began) })
	}
	s.t.Cleanup(func() { l.giveUp(); l.people.Wait() })
	return l
}

// attempted notes how long one attempt of a customer took, whatever came of it.
func (l *Load) attempted(took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.slowest = max(l.slowest, took)
}

// Slowest is the longest that any attempt of a customer took since it was asked last.
func (l *Load) Slowest() (took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	took, l.slowest = l.slowest, 0
	return took.Round(time.Millisecond)
}

func (l *Load) ticked() { l.ticks.Add(1) }

// Done is how many operations have ended.
func (l *Load) Done() int { return int(l.ticks.Load()) }

// More waits until n more operations have ended.
func (l *Load) More(n int) {
	l.scene.t.Helper()
	n += l.Done()
	l.scene.await(moreLimit, "more operations", func() bool { return l.Done() >= n })
}

// During lets the load go on for a time that a fault lasts.
func (l *Load) During(length time.Duration) { time.Sleep(length) }

// Stop ends the load; what was begun is finished, or given up after the patience of customers.
func (l *Load) Stop() {
	l.stop()
	l.people.Wait()
	l.giveUp()
	l.scene.client.Close()
	l.scene.t.Logf("%d operations; without an answer at first: %s; pages: %s", l.Done(), &l.Codes, l.Pages(0, -1))
}

// browse reads pages from one copy after the other, each attempt once.
func (l *Load) browse(ctx context.Context, nearest int, began time.Time) {
	for n := nearest; ctx.Err() == nil; n++ {
		var data struct{ Stocks []struct{ Version int64 } }
		at := time.Now()
		err := l.scene.client.Ask(ctx, l.scene.Copies[n%len(l.scene.Copies)].URL(), pageDocument, map[string]any{"ids": l.scene.products}, &data)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.PageCodes.add(err)
		}
		l.mu.Lock()
		l.pages = append(l.pages, page{at.Sub(began), time.Since(at), err == nil})
		l.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(shopperThink):
		}
	}
}

// Mark is how many pages have been read, to tell those before a fault from those in it.
func (l *Load) Mark() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pages)
}

// Pages are what shoppers met.
type Pages struct {
	Read, Failed  int
	P50, P99, Max time.Duration
}

// Pages sums up those from mark from up to mark to (-1: all).
func (l *Load) Pages(from, to int) Pages {
	l.mu.Lock()
	defer l.mu.Unlock()
	if to < 0 {
		to = len(l.pages)
	}
	var p Pages
	var took []time.Duration
	for _, page := range l.pages[from:to] {
		p.Read++
		if !page.answered {
			p.Failed++
		}
		took = append(took, page.took)
	}
	if len(took) > 0 {
		slices.Sort(took)
		p.P50, p.P99, p.Max = took[len(took)/2], took[len(took)*99/100], took[len(took)-1]
	}
	return p
}

// String is the summary in a line.
func (p Pages) String() string {
	return fmt.Sprintf("%d read, %d not answered, p50 %s, p99 %s, longest %s", p.Read, p.Failed,
		p.P50.Round(time.Millisecond/10), p.P99.Round(time.Millisecond/10), p.Max.Round(time.Millisecond/10))
}
