package faults

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// ticker changes products of its own at a steady pace, so that it can be timed how soon subscribers hear of it.
type ticker struct {
	scene    *Scene
	products []string
	stop     context.CancelFunc
	ended    chan struct{}

	mu    sync.Mutex
	ticks []tick
}

// tick is one change: the version it led to, and when it was asked for.
type tick struct {
	product string
	version int64
	at      time.Time
}

// tickEvery is the pace of all products together.
const tickEvery = 50 * time.Millisecond

const adjustDocument = `mutation Adjust($input: AdjustStockInput!) { answer: adjustStock(input: $input) {
	stocks { productId version } errors { __typename ... on UserError { message path } } } }`

// tick makes n products with long titles, which customers know nothing of, and begins to change them.
func (s *Scene) tick(t *testing.T, n int) *ticker {
	t.Helper()
	k := &ticker{scene: s, ended: make(chan struct{})}
	units := map[string]int{}
	for i := range n {
		k.products = append(k.products, fmt.Sprintf("tick-%d", i))
		units[k.products[i]] = 1
	}
	s.Stock(units, strings.Repeat("x", 255))
	ctx, stop := context.WithCancel(context.Background())
	k.stop = stop
	go k.run(ctx)
	t.Cleanup(k.end)
	return k
}

func (k *ticker) end() {
	k.stop()
	<-k.ended
}

func (k *ticker) run(ctx context.Context) {
	defer close(k.ended)
	pace := time.NewTicker(tickEvery)
	defer pace.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-pace.C:
			k.change(n)
		}
	}
}

func (k *ticker) change(n int) {
	product, at := k.products[n%len(k.products)], time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	var data struct {
		Answer struct {
			Stocks []struct{ Version int64 }
			Errors []struct{ Message string }
		}
	}
	err := k.scene.client.Ask(ctx, k.scene.Copies[n%len(k.scene.Copies)].URL(), adjustDocument, map[string]any{"input": map[string]any{
		"idempotencyKey": fmt.Sprintf("%s-tick-%d", k.scene.name, n), "reason": "RECEIVED",
		"rows": []map[string]any{{"productId": product, "locationId": place, "delta": 1}}}}, &data)
	if err != nil || len(data.Answer.Stocks) != 1 {
		k.scene.wrong("tick %d: %v, %+v", n, err, data.Answer.Errors)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ticks = append(k.ticks, tick{product, data.Answer.Stocks[0].Version, at})
}

// Heard is how long changes took until subscribers were given them, or something newer.
type Heard struct {
	Times    int
	P50, P99 time.Duration
	// Usual is the P99 of the median second: one in which the machine was busy with something else does not move it.
	Usual time.Duration
	// Never are those that nobody was given.
	Never int
}

// String is the summary in a line.
func (h Heard) String() string {
	return fmt.Sprintf("%d changes heard, %d never, p50 %s, p99 %s, in a usual second %s", h.Times, h.Never, h.P50.Round(time.Millisecond/10),
		h.P99.Round(time.Millisecond/10), h.Usual.Round(time.Millisecond/10))
}

// heard sums up, for the changes asked for between two moments, how soon each of the subscribers had them.
func (k *ticker) heard(from, to time.Time, subscribers []*Subscriber) Heard {
	k.mu.Lock()
	ticks := slices.Clone(k.ticks)
	k.mu.Unlock()
	var h Heard
	var took []time.Duration
	seconds := map[int][]time.Duration{}
	for _, sub := range subscribers {
		given := map[string][]Event{}
		for _, e := range sub.Events() {
			given[e.ProductID] = append(given[e.ProductID], e)
		}
		for _, tick := range ticks {
			if tick.at.Before(from) || tick.at.After(to) {
				continue
			}
			events := given[tick.product] // by version: order checks it
			at, _ := slices.BinarySearchFunc(events, tick.version, func(e Event, version int64) int { return int(e.Version - version) })
			if at == len(events) {
				h.Never++
				continue
			}
			delay, second := events[at].At.Sub(tick.at), int(tick.at.Sub(from)/time.Second)
			took, seconds[second] = append(took, delay), append(seconds[second], delay)
		}
	}
	if h.Times = len(took); h.Times > 0 {
		h.P50, h.P99 = percentile(took, 50), percentile(took, 99)
		var worst []time.Duration
		for _, delays := range seconds {
			worst = append(worst, percentile(delays, 99))
		}
		h.Usual = percentile(worst, 50)
	}
	return h
}

// percentile sorts the durations, of which there is one at least.
func percentile(list []time.Duration, percent int) time.Duration {
	slices.Sort(list)
	return list[len(list)*percent/100]
}
