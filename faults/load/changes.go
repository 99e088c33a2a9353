package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// changeEvery is the interval between two changes, of all products together.
const changeEvery = 50 * time.Millisecond

// Changes changes products at a steady rate, so that it can be timed how soon subscribers receive them.
type Changes struct {
	target   *Target
	products []string
	stop     context.CancelFunc
	ended    chan struct{}

	mu   sync.Mutex
	list []change
}

// change is one change: the version it led to, and when it was asked for.
type change struct {
	product string
	version int64
	at      time.Time
}

// StartChanges begins to change these products, which customers must not know.
func StartChanges(target *Target, products []string) *Changes {
	c := &Changes{target: target, products: products, ended: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.run(ctx)
	target.T.Cleanup(c.Stop)
	return c
}

// Stop ends the changes.
func (c *Changes) Stop() {
	c.stop()
	<-c.ended
}

func (c *Changes) run(ctx context.Context) {
	defer close(c.ended)
	ticker := time.NewTicker(changeEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			c.change(n)
		}
	}
}

// change adds a unit to one of the products.
func (c *Changes) change(n int) {
	product, at := c.products[n%len(c.products)], time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), AttemptLimit)
	defer cancel()
	var data WriteData
	err := c.target.Client.Ask(ctx, c.target.url(n), adjustDocument, map[string]any{"input": map[string]any{
		"idempotencyKey": fmt.Sprintf("%s-change-%d", c.target.Name, n), "reason": "RECEIVED",
		"rows": []map[string]any{{"productId": product, "locationId": Location, "delta": 1}}}}, &data)
	if err != nil || len(data.Answer.Stocks) != 1 {
		c.target.errorf("change %d: %v, %+v", n, err, data.Answer.Errors)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list = append(c.list, change{product, data.Answer.Stocks[0].Version, at})
}

// Deliveries are how long changes took until subscribers received them, or something newer.
type Deliveries struct {
	Count    int
	P50, P99 time.Duration
	// Usual is the P99 of the median second: a second in which the machine was busy with something else does not move it.
	Usual time.Duration
	// Missing is how many were not received.
	Missing int
}

// String is the summary in a line.
func (d Deliveries) String() string {
	return fmt.Sprintf("%d changes received, %d not, p50 %s, p99 %s, in a usual second %s", d.Count, d.Missing, d.P50.Round(time.Millisecond/10),
		d.P99.Round(time.Millisecond/10), d.Usual.Round(time.Millisecond/10))
}

// Deliveries sums up, for the changes asked for between two moments, how soon each of the subscribers received them.
func (c *Changes) Deliveries(from, to time.Time, subscribers []*Subscriber) Deliveries {
	var asked []change
	c.mu.Lock()
	for _, one := range c.list {
		if !one.at.Before(from) && !one.at.After(to) {
			asked = append(asked, one)
		}
	}
	c.mu.Unlock()
	var d Deliveries
	var took []time.Duration
	seconds := map[int][]time.Duration{}
	for _, sub := range subscribers {
		events := map[string][]StockEvent{} // by version: Misordered checks it
		for _, e := range sub.Events() {
			events[e.ProductID] = append(events[e.ProductID], e)
		}
		for _, one := range asked {
			received := events[one.product]
			at, _ := slices.BinarySearchFunc(received, one.version, func(e StockEvent, version int64) int { return int(e.Version - version) })
			if at == len(received) {
				d.Missing++
				continue
			}
			delay, second := received[at].At.Sub(one.at), int(one.at.Sub(from)/time.Second)
			took, seconds[second] = append(took, delay), append(seconds[second], delay)
		}
	}
	if d.Count = len(took); d.Count == 0 {
		return d
	}
	d.P50, d.P99 = percentile(took, 50), percentile(took, 99)
	var worst []time.Duration
	for _, delays := range seconds {
		worst = append(worst, percentile(delays, 99))
	}
	d.Usual = percentile(worst, 50)
	return d
}
