package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// frozenEach is how many clients of each kind have stopped reading; healthyEach, how many of each kind read on.
	frozenEach, healthyEach = 200, 25
	// frozenLimit is how soon they must be gone.
	frozenLimit = 15 * time.Second
	// quietFor is how long the healthy are timed without them.
	quietFor = 4 * time.Second
	// unmovedTimes and unmovedMore are by how much the healthy may be told later beside the frozen, as the noise of a busy
	// machine has it. One write that waits for a frozen client would take ten seconds.
	unmovedTimes, unmovedMore = 3, 60 * time.Millisecond
)

// TestF13FrozenClients: 200 sockets and 200 event streams subscribe to products that change all the time, and never read.
// They are cut off; 50 others hear as soon as they did without them, and no memory piles up for those who do not read.
func TestF13FrozenClients(t *testing.T) {
	s := Open(t, Plan{Customers: 4, Think: 20 * time.Millisecond, Subscribers: 1})
	ticker := s.tick(t, 4)
	load := s.Load()
	var healthy []*Subscriber
	for n := range healthyEach {
		healthy = append(healthy, s.WatchThese("websocket", n, ticker.products), s.WatchThese("sse", n, ticker.products))
	}
	for _, sub := range healthy {
		s.await(startLimit, sub.Name+" subscribed", sub.Live)
	}
	open := s.streams(t)

	quiet := time.Now()
	load.During(quietFor)
	began := time.Now()
	f := s.freeze(t, frozenEach, ticker.products)
	all := time.Now()
	require.GreaterOrEqual(t, s.streams(t), open+1.5*frozenEach, "the frozen are there")
	var heapMax float64
	s.await(frozenLimit+time.Until(all), "the frozen are gone", func() bool {
		for _, c := range s.Copies {
			m, err := c.Metrics()
			s.Must(err)
			heapMax = max(heapMax, m["go_memstats_heap_inuse_bytes"]-c.baseline["go_memstats_heap_inuse_bytes"])
		}
		return s.streams(t) <= open
	})
	gone := time.Now()
	load.During(2 * time.Second)
	ticker.end()
	load.Stop()

	for _, sub := range healthy {
		s.await(watchersLimit, sub.Name+" has the last change", func() bool { return ticker.heard(quiet, time.Now(), []*Subscriber{sub}).Never == 0 })
		assert.Empty(t, sub.order())
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	before, come, beside := ticker.heard(quiet, began, healthy), ticker.heard(began, all, healthy), ticker.heard(all, gone, healthy)
	t.Logf("%d frozen clients connected in %s, gone %s later, at most %.0f MB more heap a copy", 2*frozenEach, all.Sub(began).Round(time.Millisecond), gone.Sub(all).Round(time.Millisecond), heapMax/(1<<20))
	t.Logf("healthy, without them: %s", before)
	t.Logf("healthy, while 400 more came: %s", come)
	t.Logf("healthy, beside them: %s", beside)
	assert.Less(t, beside.P99, max(unmovedTimes*before.P99, before.P99+unmovedMore))
	assert.Less(t, heapMax, float64(heapMore))
	load.untroubled(t)
	for _, sub := range healthy {
		sub.Stop()
	}
	f.leave()
	s.Check()
}

// streams is how many sockets and event streams the copies have open.
func (s *Scene) streams(t *testing.T) (sum float64) {
	for _, c := range s.Copies {
		m, err := c.Metrics()
		require.NoError(t, err)
		for _, transport := range []string{"sse", "websocket"} {
			sum += m[fmt.Sprintf("onhand_requests_open{transport=%q}", transport)]
		}
	}
	return sum
}
