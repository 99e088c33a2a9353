package checker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// AnswerBound is how much older than Redis an answer may be.
	AnswerBound = time.Second
	// boundEvery is how often Redis is looked at, and how often each instance is asked.
	boundEvery = 20 * time.Millisecond
	// boundAskLimit bounds one question: an instance may be frozen.
	boundAskLimit = time.Second
	// glimpsesMax bounds what is kept of Redis: a minute of it.
	glimpsesMax = 3000
)

// The sources of an answer whose age is checked.
const (
	sourceRedis     = "CACHE"
	sourceNearCache = "NEAR_CACHE"
)

// BoundMonitor asks the instances for all products all through a scenario. No answer may be older than what Redis had a
// bound before the request was sent. An answer of the database is not checked here.
type BoundMonitor struct {
	Products []string

	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	glimpses []glimpse // of Redis, by time
	found    []string
	Counts   map[string]int // answers by source
}

// glimpse is what Redis had at a moment.
type glimpse struct {
	at       time.Time // after it was read
	versions map[string]int64
}

// StartBoundMonitor starts a bound monitor of every instance that runs, for the products of the scenario and more. End it
// before the check.
func (c *Checker) StartBoundMonitor(more ...string) *BoundMonitor {
	ctx, stop := context.WithCancel(context.Background())
	m := &BoundMonitor{Products: slices.Concat(c.Target.Products, more), stop: stop}
	m.running.Go(func() {
		for ctx.Err() == nil {
			m.glance(ctx, c)
			rest(ctx)
		}
	})
	for _, i := range c.serving() {
		m.running.Go(func() {
			for ctx.Err() == nil {
				m.ask(ctx, c.Target.Client, i)
				rest(ctx)
			}
		})
	}
	c.T.Cleanup(m.end)
	return m
}

// EndBoundMonitor ends a bound monitor and reports what it found. The near caches must have answered.
func (c *Checker) EndBoundMonitor(m *BoundMonitor) {
	c.T.Helper()
	m.end()
	c.Report("I10", m.Found())
	c.T.Logf("answers by source: %v", m.Counts)
	if m.Counts[sourceNearCache] == 0 {
		c.T.Error("I10: no answer was of a near cache")
	}
}

func (m *BoundMonitor) end() {
	m.stop()
	m.running.Wait()
}

func rest(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-time.After(boundEvery):
	}
}

// glance notes what Redis has. When Redis does not answer, there is nothing to note.
func (m *BoundMonitor) glance(ctx context.Context, c *Checker) {
	ctx, cancel := context.WithTimeout(ctx, boundAskLimit)
	defer cancel()
	versions := make(map[string]int64, len(m.Products))
	for _, id := range m.Products {
		version, err := c.Cache.HGet(ctx, CacheKey(id), "version").Int64()
		if err != nil {
			return
		}
		versions[id] = version
	}
	m.Note(time.Now(), versions)
}

// Note notes what Redis had at a moment.
func (m *BoundMonitor) Note(at time.Time, versions map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.glimpses = append(m.glimpses, glimpse{at, versions})
	if len(m.glimpses) > glimpsesMax {
		m.glimpses = append(m.glimpses[:0], m.glimpses[glimpsesMax/2:]...)
	}
}

// ask reads all products from an instance.
func (m *BoundMonitor) ask(ctx context.Context, client *load.Client, i *process.Instance) {
	ctx, cancel := context.WithTimeout(ctx, boundAskLimit)
	defer cancel()
	var page load.PageData
	sent := time.Now()
	if err := client.Ask(ctx, i.URL(), load.PageDocument, map[string]any{"ids": m.Products}, &page); err == nil {
		m.Judge(i.Name, sent, page)
	}
}

// Judge checks an answer to a request that was sent at a moment.
func (m *BoundMonitor) Judge(name string, sent time.Time, page load.PageData) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.Counts == nil {
		m.Counts = map[string]int{}
	}
	var last *glimpse // that the answer must know
	for n := range m.glimpses {
		if m.glimpses[n].at.After(sent.Add(-AnswerBound)) {
			break
		}
		last = &m.glimpses[n]
	}
	for _, stock := range page.Stocks {
		m.Counts[stock.Source]++
		if last == nil || stock.Source != sourceRedis && stock.Source != sourceNearCache {
			continue
		}
		if least := last.versions[stock.ProductID]; stock.Version < least && len(m.found) < findingsMax {
			m.found = append(m.found, fmt.Sprintf("%s answered version %d of %s from %s, and Redis had version %d %s before the request",
				name, stock.Version, stock.ProductID, stock.Source, least, sent.Sub(last.at).Round(time.Millisecond)))
		}
	}
}

// Found is what was found so far.
func (m *BoundMonitor) Found() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.found
}
