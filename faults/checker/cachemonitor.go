package checker

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// MonitorEvery is how often Redis is compared with the database while a scenario runs.
	MonitorEvery = 50 * time.Millisecond
	// findingsMax bounds what is kept of a Redis that is wrong again and again.
	findingsMax = 20
)

// CacheMonitor looks all through a scenario whether Redis has what the database has not committed. It reads Redis first
// and the database after it: a version in Redis must have been committed by then. It also looks whether versions in Redis
// go back.
type CacheMonitor struct {
	stop  context.CancelFunc
	ended chan struct{}

	mu       sync.Mutex
	versions map[string]int64 // of the last comparison
	epoch    string           // of these versions
	findings Findings
}

// Findings are those of a cache monitor.
type Findings struct {
	// Ahead is what Redis had before the database; Back is what went back.
	Ahead, Back []string
	// Comparisons counts them.
	Comparisons int
}

// StartMonitor starts the cache monitor.
func (c *Checker) StartMonitor() {
	ctx, stop := context.WithCancel(context.Background())
	m := &CacheMonitor{stop: stop, ended: make(chan struct{})}
	c.monitor = m
	go func() {
		defer close(m.ended)
		ticker := time.NewTicker(MonitorEvery)
		defer ticker.Stop()
		for ctx.Err() == nil {
			m.Compare(ctx, c)
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	}()
	c.T.Cleanup(m.end)
}

// EndMonitor ends the cache monitor and reports what it found, for a scenario in which versions are about to go back.
func (c *Checker) EndMonitor() {
	c.T.Helper()
	c.monitor.end()
	found := c.monitor.Findings()
	c.Report("I7", append(found.Ahead, found.Back...))
}

func (m *CacheMonitor) end() {
	m.stop()
	<-m.ended
}

// Compare compares once. When Redis or the database is away, there is nothing to compare.
func (m *CacheMonitor) Compare(ctx context.Context, c *Checker) {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	_, epoch, err := c.Stored(ctx)
	if err != nil {
		return
	}
	cached, err := c.Cached(ctx, epoch)
	if err != nil {
		return
	}
	stored, after, err := c.Stored(ctx)
	if err != nil || after != epoch {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.findings.Comparisons++
	if m.epoch != epoch {
		m.epoch, m.versions = epoch, map[string]int64{}
	}
	for id, inRedis := range cached {
		if inRedis.Version > stored[id].Version && len(m.findings.Ahead) < findingsMax {
			m.findings.Ahead = append(m.findings.Ahead, fmt.Sprintf("Redis had version %d of %s, and the database %d", inRedis.Version, id, stored[id].Version))
		}
		if inRedis.Version < m.versions[id] && len(m.findings.Back) < findingsMax {
			m.findings.Back = append(m.findings.Back, fmt.Sprintf("Redis had version %d of %s, and later version %d", m.versions[id], id, inRedis.Version))
		}
		m.versions[id] = inRedis.Version
	}
}

// Findings are those so far.
func (m *CacheMonitor) Findings() Findings {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.findings
}
