package faults

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// resumeLimit is how soon a subscriber has everything again from another instance.
	resumeLimit = 2 * time.Second
	// inFlight is how many requests an instance has in flight when it gets SIGTERM; inFlightFor, how long they must wait
	// for their row after that.
	inFlight, inFlightFor = 40, time.Second
	// webSocketEnd is how a stopping server closes a socket: 1012 in the registry of RFC 6455.
	webSocketEnd = "StatusServiceRestart"
)

// TestF17RollingRestart: both instances are stopped and started again, one after the other and twice over, under load. No
// client gets a truncated answer, sockets close with 1012, event streams end in order, and subscribers continue at the
// other instance, at once and with nothing missed.
func TestF17RollingRestart(t *testing.T) {
	s := Open(t, Setup{ShortReservations: true, Subscribers: 6})
	l := s.Load()
	for range 2 {
		for _, i := range s.Instances {
			l.More(150)
			began := time.Now()
			i.Stop()
			stopped := time.Since(began)
			s.AwaitLive(resumeLimit, s.Subscribers...)
			t.Logf("%s stopped within %s, subscribers had everything %s after the signal", i.Name, stopped.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			assert.Less(t, stopped, checker.RestLimit)
			l.More(50) // the other instance does everything
			i.Start()
		}
	}
	l.More(200)
	l.Stop()
	assert.Positive(t, l.Attempts.Count(load.NoAnswer), "the fault had no effect")
	l.CheckRetryable(t)
	assert.Empty(t, append(l.Attempts.Truncated(), l.PageAttempts.Truncated()...), "truncated answers")
	for _, sub := range s.Subscribers {
		assert.Greater(t, sub.Sessions(), 1, "%s", sub)
		want := webSocketEnd
		if sub.Protocol == load.SSE {
			want = load.StreamEnded
		}
		for _, end := range sub.Ends() {
			assert.Contains(t, end, want, sub.Name)
		}
	}
	s.Check()
}

// TestF17RequestsInFlight: an instance gets SIGTERM while requests wait in it for a row that another program has
// locked. It takes no new ones, and answers those that it has.
func TestF17RequestsInFlight(t *testing.T) {
	s := Open(t, Setup{Customers: 4})
	s.Stock(map[string]int{"locked": inFlight}, "")
	l := s.Load()
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	row, err := s.Checker.Database.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = row.Rollback(context.Background()) }() // the second time it does nothing
	_, err = row.Exec(ctx, checker.LockLevel, "locked")
	require.NoError(t, err)

	i := s.Instances[0]
	answers := make(chan error, inFlight)
	for n := range inFlight {
		go func() { answers <- s.reserveOne(ctx, i, "locked", n) }()
	}
	s.Await(load.MoreLimit, "the requests are in flight", func() bool {
		m, err := i.Metrics()
		return err == nil && m["onhand_writes_blocked"] >= inFlight
	})
	stopped := make(chan struct{})
	go func() { defer close(stopped); i.Stop() }()
	s.Await(checker.RestLimit, i.Name+" takes no new requests", func() bool {
		conn, err := net.DialTimeout("tcp", i.Address(), time.Second)
		if err == nil {
			_ = conn.Close() // it was only a probe
		}
		return err != nil
	})
	l.During(inFlightFor)
	require.Empty(t, answers, "none can have been answered yet")
	require.NoError(t, row.Rollback(ctx))
	for range inFlight {
		require.NoError(t, <-answers)
	}
	<-stopped
	i.Start()
	l.More(100)
	l.Stop()
	l.CheckRetryable(t)
	assert.Empty(t, l.Attempts.Truncated())
	s.Check()
}

// reserveOne reserves one unit, asking once.
func (s *Shop) reserveOne(ctx context.Context, i *process.Instance, product string, n int) error {
	var data load.WriteData
	err := s.Target.Client.Ask(ctx, i.URL(), load.ReserveDocument, map[string]any{"input": map[string]any{
		"idempotencyKey": fmt.Sprintf("%s-%s-%d", s.Target.Name, product, n), "ttlSeconds": int(load.LongTTL.Seconds()),
		"lines": []map[string]any{{"productId": product, "quantity": 1}},
	}}, &data)
	if err == nil && data.Answer.ID() == "" {
		err = fmt.Errorf("refused: %+v", data.Answer.Errors)
	}
	return err
}
