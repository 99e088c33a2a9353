package faults

import (
	"context"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/process"
)

const (
	// nearFault is how long each fault of the near cache's feed lasts: several times the bound, and shorter than the
	// deadline of a write.
	nearFault = 3 * time.Second
	// nearBackLimit is how soon the near cache is used again once its feed is healed.
	nearBackLimit = 10 * time.Second
)

// outside is a product that no instance writes: a commit of its own tells an instance of a change whatever happens to its
// feed. outsideEvery is how often a program with SQL changes it.
const (
	outside      = "outside"
	outsideEvery = 20 * time.Millisecond
)

// changeOutside changes that product until the end.
func (s *Shop) changeOutside() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ctx.Err() == nil {
			_, err := s.Checker.Database.Exec(ctx, "UPDATE stock_levels SET available = available + 1 WHERE product_id = $1", outside)
			if err != nil && ctx.Err() == nil {
				s.t.Errorf("change %s: %v", outside, err)
				return
			}
			time.Sleep(outsideEvery)
		}
	})
	return func() { cancel(); running.Wait() }
}

// TestF19NearCache: while other instances write, the feed of one instance is half-open, slow, reset and cut, Redis hangs,
// and the instance itself is stopped and resumes. Never does an instance answer with what is more than a second older than
// Redis, and afterwards the near cache is used again.
func TestF19NearCache(t *testing.T) {
	if os.Getenv("NEAR_CACHE_BYTES") == "0" {
		t.Skip("skipped: NEAR_CACHE_BYTES is 0, so there is no near cache")
	}
	s := Open(t, Setup{Proxied: true, Instances: 3, Shoppers: 3, Opening: map[string]int{"cup": 4000, "mug": 4000, "jug": 4000}})
	victim := s.Instances[1]
	l := s.Load()
	s.Stock(map[string]int{outside: 1}, "")
	end := s.changeOutside()
	defer end()
	bound := s.Checker.StartBoundMonitor(outside)
	fresh := func() {
		t.Helper()
		s.Await(nearBackLimit, "the near cache is used", gaugeIs(victim, "onhand_near_cache_fresh", 1))
		l.During(time.Second)
	}
	for _, fault := range []struct {
		name        string
		begin, heal func()
	}{
		{"half-open: nothing arrives from Redis", func() { victim.Redis.Drop(process.Down) }, victim.Redis.Heal},
		{"half-open: nothing arrives at Redis", func() { victim.Redis.Drop(process.Up) }, victim.Redis.Heal},
		{"slow", func() { victim.Redis.Delay(process.Down, nearFault/2) }, victim.Redis.Heal},
		{"reset", victim.Redis.Reset, victim.Redis.Heal},
		{"cut off", victim.Redis.Cut, victim.Redis.Heal},
		{"frozen Redis", func() { s.Must(s.Redis.Freeze()) }, func() { s.Must(s.Redis.Thaw()) }},
		{"frozen instance", victim.Freeze, victim.Thaw},
	} {
		fresh()
		began := time.Now()
		s.Outage(func() {
			fault.begin()
			l.During(nearFault)
			fault.heal()
		})
		t.Logf("%s: healed after %s", fault.name, time.Since(began).Round(time.Millisecond))
	}
	fresh()
	before := s.metrics()[1]["onhand_near_cache_hits_total"]
	l.More(100)
	assert.Greater(t, s.metrics()[1]["onhand_near_cache_hits_total"], before)
	l.Stop()
	end()
	s.Checker.EndBoundMonitor(bound)
	s.Check()
}
