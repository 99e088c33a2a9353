package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// crowdEach is how many clients of each kind stop reading; healthyEach, how many of each kind read on.
	crowdEach, healthyEach = 200, 25
	// frozenLimit is how soon those that do not read must be gone.
	frozenLimit = 15 * time.Second
	// quietFor is how long the healthy are timed alone, before and after, and beside those that will freeze while they
	// still read.
	quietFor = 4 * time.Second
	// unmovedTimes and unmovedMore are by how much later the healthy may hear beside the frozen: in a usual second than
	// alone, before or after (a machine grows busy in between), for who does not read is no work; in all seconds together
	// than while the frozen read.
	unmovedTimes, unmovedMore = 1.5, 15 * time.Millisecond
	// goneEvery is how often it is asked whether they are gone. To be asked is work, too.
	goneEvery = 250 * time.Millisecond
)

// TestF13FrozenClients: 200 sockets and 200 event streams subscribe to products that change all the time, and read; then
// they all stop reading. They are cut off; 50 others hear as soon as they did without those 400, and no memory piles up for
// those who do not read.
func TestF13FrozenClients(t *testing.T) {
	s := Open(t, Plan{Customers: 4, Think: 20 * time.Millisecond, Subscribers: 1})
	ticker := s.tick(t, 4)
	load := s.Load()
	healthy := s.healthy(ticker.products)
	open := s.streams(t)

	began := time.Now()
	load.During(quietFor)
	come := time.Now()
	crowd := s.crowd(t, crowdEach, ticker.products)
	all := time.Now()
	require.Equal(t, open+2*crowdEach, s.streams(t), "the crowd is there")
	load.During(quietFor)
	crowd.freeze()
	froze := time.Now()
	heapMax := s.awaitGone(t, open)
	gone := time.Now()
	load.During(quietFor)
	ticker.end()
	load.Stop()

	for _, sub := range healthy {
		s.await(watchersLimit, sub.Name+" has the last change", func() bool { return ticker.heard(began, time.Now(), []*Subscriber{sub}).Never == 0 })
		assert.Empty(t, sub.order())
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	t.Logf("%d clients froze, gone %s later, at most %.0f MB more heap a copy", 2*crowdEach, gone.Sub(froze).Round(time.Millisecond), heapMax/(1<<20))
	alone, reading := ticker.heard(began, come, healthy), ticker.heard(all, froze, healthy)
	frozen, after := ticker.heard(froze, gone, healthy), ticker.heard(gone, time.Now(), healthy)
	t.Logf("healthy, alone: %s", alone)
	t.Logf("healthy, while 400 more came: %s", ticker.heard(come, all, healthy))
	t.Logf("healthy, beside them reading: %s", reading)
	t.Logf("healthy, beside them frozen: %s", frozen)
	t.Logf("healthy, after them: %s", after)
	assert.Less(t, frozen.Usual, unmoved(max(alone.Usual, after.Usual)), "in a usual second, beside the frozen and alone")
	assert.Less(t, frozen.P99, unmoved(reading.P99), "in all seconds, beside the frozen and while they read")
	assert.Less(t, heapMax, float64(heapMore))
	load.untroubled(t)
	for _, sub := range healthy {
		sub.Stop()
	}
	crowd.leave()
	s.Check()
}

// unmoved is what a time may become that should stay as it is.
func unmoved(before time.Duration) time.Duration {
	return max(time.Duration(unmovedTimes*float64(before)), before+unmovedMore)
}

// healthy subscribes those that are timed.
func (s *Scene) healthy(products []string) (list []*Subscriber) {
	for n := range healthyEach {
		list = append(list, s.WatchThese("websocket", n, products), s.WatchThese("sse", n, products))
	}
	for _, sub := range list {
		s.await(startLimit, sub.Name+" subscribed", sub.Live)
	}
	return list
}

// awaitGone waits until no more streams are open than there were, and tells by how much any copy's heap was larger than
// at rest meanwhile.
func (s *Scene) awaitGone(t *testing.T, open float64) (heapMax float64) {
	pace := time.NewTicker(goneEvery)
	defer pace.Stop()
	s.await(frozenLimit, "the frozen are gone", func() bool {
		<-pace.C
		for _, c := range s.Copies {
			m, err := c.Metrics()
			s.Must(err)
			heapMax = max(heapMax, m["go_memstats_heap_inuse_bytes"]-c.baseline["go_memstats_heap_inuse_bytes"])
		}
		return s.streams(t) <= open
	})
	return heapMax
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
