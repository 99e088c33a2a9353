package checker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// AnswerBound is how much older than Redis an answer may be.
	AnswerBound = time.Second
	// CommittedBound is how much older than the database an answer may be while Redis fails over: as much as it may be older
	// than Redis, and one interval of the epoch check, which notices what the new master lacks.
	CommittedBound = 2 * time.Second
	// boundEvery is how often Redis or the database is looked at, and how often each instance is asked.
	boundEvery = 20 * time.Millisecond
	// boundAskLimit bounds one question: an instance may be frozen.
	boundAskLimit = time.Second
	// samplesMax bounds what is kept of the versions: a minute of them.
	samplesMax = 3000
)

// The sources of an answer.
const (
	sourceRedis     = "CACHE"
	sourceNearCache = "NEAR_CACHE"
	sourceDatabase  = "DATABASE"
)

// BoundMonitor asks the instances for all products all through a scenario. No answer may be older than what Redis, or the
// database, had a bound before the request was sent.
type BoundMonitor struct {
	Products []string

	bound   time.Duration
	origin  string // what answers are compared with
	sources []string
	read    func(context.Context, []string) (map[string]int64, error)
	stop    context.CancelFunc
	running sync.WaitGroup

	mu      sync.Mutex
	samples []sample // by time
	found   []string
	counts  map[string]int           // answers by source
	oldest  map[string]time.Duration // the age of the oldest answer by source
	last    map[[2]string]int64      // by instance and product: the version of its last answer
	// fell counts answers with a lower version than the one before of the same instance. It is no finding: until an instance
	// knows of a failover, the new master may lack what the old one had, for the bound at most.
	fell int
}

// sample is the versions at a moment.
type sample struct {
	at       time.Time // after they were read
	versions map[string]int64
}

// StartBoundMonitor starts a monitor of every instance that runs, for the products of the scenario and more, which compares
// with Redis. An answer of the database is not checked. End the monitor before the check.
func (c *Checker) StartBoundMonitor(more ...string) *BoundMonitor {
	return c.startMonitor(&BoundMonitor{
		bound: AnswerBound, origin: "Redis", sources: []string{sourceRedis, sourceNearCache}, read: c.cachedVersions,
	}, more)
}

// StartCommittedMonitor is StartBoundMonitor, but compares with what has been committed, and checks every answer.
func (c *Checker) StartCommittedMonitor(more ...string) *BoundMonitor {
	return c.startMonitor(&BoundMonitor{
		bound: CommittedBound, origin: "the database", sources: []string{sourceRedis, sourceNearCache, sourceDatabase}, read: c.storedVersions,
	}, more)
}

func (c *Checker) startMonitor(m *BoundMonitor, more []string) *BoundMonitor {
	ctx, stop := context.WithCancel(context.Background())
	m.Products, m.stop = slices.Concat(c.Target.Products, more), stop
	m.running.Go(func() {
		for ctx.Err() == nil {
			m.sample(ctx)
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

// EndBoundMonitor ends a monitor and reports what it found. The near caches must have answered.
func (c *Checker) EndBoundMonitor(m *BoundMonitor) {
	c.T.Helper()
	m.end()
	c.Report("I10", m.Found())
	c.T.Logf("answers by source: %v; the oldest ones compared with %s: %v; versions fell %d times", m.counts, m.origin, m.oldest, m.fell)
	if m.counts[sourceNearCache] == 0 {
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

// sample notes the versions. When Redis, or the database, does not answer, there is nothing to note.
func (m *BoundMonitor) sample(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, boundAskLimit)
	defer cancel()
	if versions, err := m.read(ctx, m.Products); err == nil {
		m.Note(time.Now(), versions)
	}
}

// cachedVersions reads the versions that Redis has; each of the products must be there.
func (c *Checker) cachedVersions(ctx context.Context, products []string) (map[string]int64, error) {
	versions := make(map[string]int64, len(products))
	for _, id := range products {
		version, err := c.Cache.HGet(ctx, CacheKey(id), "version").Int64()
		if err != nil {
			return nil, err
		}
		versions[id] = version
	}
	return versions, nil
}

// storedVersions reads the versions that are committed.
func (c *Checker) storedVersions(ctx context.Context, products []string) (map[string]int64, error) {
	rows, err := c.Database.Query(ctx, selectVersions, products)
	if err != nil {
		return nil, err
	}
	versions := make(map[string]int64, len(products))
	var id string
	var version int64
	_, err = pgx.ForEachRow(rows, []any{&id, &version}, func() error {
		versions[id] = version
		return nil
	})
	return versions, err
}

// Note notes the versions at a moment.
func (m *BoundMonitor) Note(at time.Time, versions map[string]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.samples = append(m.samples, sample{at, versions})
	if len(m.samples) > samplesMax {
		m.samples = append(m.samples[:0], m.samples[samplesMax/2:]...)
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
	if m.counts == nil {
		m.counts, m.oldest, m.last = map[string]int{}, map[string]time.Duration{}, map[[2]string]int64{}
	}
	for _, stock := range page.Stocks {
		m.counts[stock.Source]++
		if at := [2]string{name, stock.ProductID}; stock.Version < m.last[at] {
			m.fell++
		} else {
			m.last[at] = stock.Version
		}
		if !slices.Contains(m.sources, stock.Source) {
			continue
		}
		m.oldest[stock.Source] = max(m.oldest[stock.Source], m.age(sent, stock.ProductID, stock.Version).Round(time.Millisecond))
		if newer := m.versionAt(sent.Add(-m.bound), stock.ProductID); newer > stock.Version && len(m.found) < findingsMax {
			m.found = append(m.found, fmt.Sprintf("%s answered version %d of %s from %s, and %s had version %d %s before the request",
				name, stock.Version, stock.ProductID, stock.Source, m.origin, newer, m.bound))
		}
	}
}

// versionAt is the version of a product at a moment; 0 when it was not read before. m.mu is held.
func (m *BoundMonitor) versionAt(moment time.Time, product string) int64 {
	for _, sample := range slices.Backward(m.samples) {
		if !sample.at.After(moment) {
			return sample.versions[product]
		}
	}
	return 0
}

// age is for how long a newer version had been there when a request was sent; 0 when there was none. m.mu is held.
func (m *BoundMonitor) age(sent time.Time, product string, version int64) (age time.Duration) {
	for _, sample := range slices.Backward(m.samples) {
		if sample.at.Before(sent) {
			if sample.versions[product] <= version {
				break
			}
			age = sent.Sub(sample.at)
		}
	}
	return age
}

// Found is what was found so far.
func (m *BoundMonitor) Found() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.found
}
