package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
)

// shareMin is the least share of the requests, and of the subscriptions, that each of four instances behind haproxy gets.
const shareMin = 0.1

// TestF32FourInstancesBehindHaproxy: customers, shoppers and subscribers reach four instances through haproxy, and each
// instance gets its share of them. One is killed, and one is stopped, under load: everything continues at the others, and
// subscribers with nothing missed. They come back and get their share again.
func TestF32FourInstancesBehindHaproxy(t *testing.T) {
	s := Open(t, Setup{Balanced: true, Instances: 4, ShortReservations: true, Subscribers: -1, Customers: 16, Shoppers: 4})
	l := s.Load()
	for _, i := range s.Instances {
		s.awaitBalanced(i)
	}
	for n := range 8 {
		s.Subscribers = append(s.Subscribers, s.Subscribe(load.WebSocket, n), s.Subscribe(load.SSE, n))
	}
	s.Checker.Subscribers = s.Subscribers
	s.AwaitLive(resumeLimit, s.Subscribers...)
	s.checkShares(func() { l.More(400) })
	t.Logf("subscriptions by instance: %v", s.metricsNamed("onhand_watches"))
	for n, watches := range s.metricsNamed("onhand_watches") {
		assert.GreaterOrEqual(t, watches, shareMin*float64(len(s.Subscribers)), "subscriptions of %s", s.Instances[n].Name)
	}

	killed, drained := s.Instances[0], s.Instances[1]
	killed.Kill()
	began := time.Now()
	s.AwaitLive(resumeLimit, s.Subscribers...)
	t.Logf("%s was killed: subscribers have everything after %s", killed.Name, rounded(time.Since(began)))
	l.More(200)
	killed.Start()
	s.awaitBalanced(killed)
	l.CheckRetryable(t)
	l.More(100)

	before := l.Attempts.String()
	s.replace(drained, drained.Program)
	assert.Equal(t, before, l.Attempts.String(), "no request may fail while an instance is stopped in order")
	s.checkShares(func() { l.More(400) })
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// checkShares checks that each instance answers its share of the requests during some load.
func (s *Shop) checkShares(during func()) {
	s.t.Helper()
	before, all := s.metricsNamed(requestsMetric), 0.0
	during()
	after := s.metricsNamed(requestsMetric)
	for n := range after {
		after[n] -= before[n]
		all += after[n]
	}
	s.t.Logf("requests by instance: %v", after)
	for n, requests := range after {
		assert.GreaterOrEqual(s.t, requests, shareMin*all, "requests of %s", s.Instances[n].Name)
	}
}

// metricsNamed is one metric of each instance.
func (s *Shop) metricsNamed(name string) (list []float64) {
	s.t.Helper()
	for _, m := range s.metrics() {
		list = append(list, m[name])
	}
	return list
}
