package faults

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// crowdEach is how many clients of each protocol stop reading; healthyEach, how many of each read on.
	crowdEach, healthyEach = 200, 25
	// changedProducts change all the time, with long titles.
	changedProducts, titleLength = 4, 255
	// frozenLimit is how soon the clients that do not read must be disconnected.
	frozenLimit = 15 * time.Second
	// stretch is how long deliveries to the healthy are timed: alone, beside the crowd while it reads, and after it.
	stretch = 4 * time.Second
	// slowdownMax and delayMore are by how much later the healthy may receive beside the frozen: in a usual second than alone,
	// before or after (a machine becomes busy in between), because a client that does not read costs nothing; in all seconds
	// together than while the crowd reads.
	slowdownMax, delayMore = 1.5, 15 * time.Millisecond
	// goneEvery is how often it is asked whether they are disconnected. A request costs the instance time, too.
	goneEvery = 250 * time.Millisecond
)

// TestF13FrozenClients: 200 sockets and 200 event streams subscribe to products that change all the time, and read. Then
// all stop reading. They are disconnected. 50 others receive as soon as without these 400, and no memory is kept for
// clients that do not read.
func TestF13FrozenClients(t *testing.T) {
	s := Open(t, Setup{Customers: 4, ThinkTime: 20 * time.Millisecond, Subscribers: 1})
	products := s.stockChanging()
	changes := load.StartChanges(s.Target, products)
	l := s.Load()
	healthy := s.subscribeHealthy(products)
	open := s.openStreams()

	began := time.Now()
	l.During(stretch)
	joining := time.Now()
	crowd := load.NewCrowd(t, s.Target, crowdEach, products)
	joined := time.Now()
	require.Equal(t, open+2*crowdEach, s.openStreams(), "the crowd is there")
	l.During(stretch)
	crowd.Freeze()
	froze := time.Now()
	heapMax := s.awaitStreams(open)
	gone := time.Now()
	l.During(stretch)
	changes.Stop()
	l.Stop()

	for _, sub := range healthy {
		s.Await(checker.SubscribersLimit, sub.Name+" has the last change", func() bool {
			return changes.Deliveries(began, time.Now(), []*load.Subscriber{sub}).Missing == 0
		})
		assert.Empty(t, sub.Misordered())
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	t.Logf("%d clients froze, disconnected %s later, at most %.0f MB more heap in an instance", 2*crowdEach, gone.Sub(froze).Round(time.Millisecond), heapMax/(1<<20))
	alone, reading := changes.Deliveries(began, joining, healthy), changes.Deliveries(joined, froze, healthy)
	frozen, after := changes.Deliveries(froze, gone, healthy), changes.Deliveries(gone, time.Now(), healthy)
	t.Logf("healthy, alone: %s", alone)
	t.Logf("healthy, while the crowd joined: %s", changes.Deliveries(joining, joined, healthy))
	t.Logf("healthy, beside the crowd reading: %s", reading)
	t.Logf("healthy, beside the crowd frozen: %s", frozen)
	t.Logf("healthy, after the crowd: %s", after)
	assert.Less(t, frozen.Usual, delayMax(max(alone.Usual, after.Usual)), "in a usual second, beside the frozen and alone")
	assert.Less(t, frozen.P99, delayMax(reading.P99), "in all seconds, beside the frozen and while they read")
	assert.Less(t, heapMax, float64(checker.HeapMore))
	l.CheckUndisturbed(t)
	for _, sub := range healthy {
		sub.Stop()
	}
	crowd.Leave()
	s.Check()
}

// delayMax is how long deliveries may take that took so long before.
func delayMax(before time.Duration) time.Duration {
	return max(time.Duration(slowdownMax*float64(before)), before+delayMore)
}

// stockChanging makes the products that change; customers do not know them.
func (s *Shop) stockChanging() (products []string) {
	s.t.Helper()
	units := map[string]int{}
	for n := range changedProducts {
		products = append(products, fmt.Sprintf("changing-%d", n))
		units[products[n]] = 1
	}
	s.Stock(units, strings.Repeat("x", titleLength))
	return products
}

// subscribeHealthy subscribes the clients whose deliveries are timed.
func (s *Shop) subscribeHealthy(products []string) (list []*load.Subscriber) {
	for n := range healthyEach {
		list = append(list, load.Subscribe(s.Target, load.WebSocket, n, products), load.Subscribe(s.Target, load.SSE, n, products))
	}
	s.AwaitLive(process.StartLimit, list...)
	return list
}

// awaitStreams waits until no more streams are open than before, and reports by how much the heap of any instance was larger
// than at rest meanwhile.
func (s *Shop) awaitStreams(before float64) (heapMax float64) {
	return s.awaitStreamsWithin(frozenLimit, before)
}

func (s *Shop) awaitStreamsWithin(limit time.Duration, before float64) (heapMax float64) {
	ticker := time.NewTicker(goneEvery)
	defer ticker.Stop()
	s.Await(limit, "the frozen are disconnected", func() bool {
		<-ticker.C
		for n, m := range s.metrics() {
			heapMax = max(heapMax, m["go_memstats_heap_inuse_bytes"]-s.Instances[n].Baseline["go_memstats_heap_inuse_bytes"])
		}
		return s.openStreams() <= before
	})
	return heapMax
}

// openStreams is how many sockets and event streams the instances have open.
func (s *Shop) openStreams() (sum float64) {
	s.t.Helper()
	for _, m := range s.metrics() {
		sum += m[`onhand_requests_open{transport="sse"}`] + m[`onhand_requests_open{transport="websocket"}`]
	}
	return sum
}
