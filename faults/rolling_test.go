package faults

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// resumeLimit is how soon a subscriber has everything again from another copy.
	resumeLimit = 2 * time.Second
	// underWay is how many requests a copy has in its hands when it is told to stop.
	underWay = 40
	// underWayFor is how long they must wait for their row after that.
	underWayFor = time.Second
	// Source: RFC 6455's registry, 1012. An event stream just ends, without a "complete", at which clients would stay away.
	endOfSocket, endOfEvents = "StatusServiceRestart", "the stream ended"
)

// TestF17RollingRestart: both copies are told to stop and started again, one after the other and twice over, under load.
// Nobody is given half an answer, sockets close with 1012, event streams end in order, and subscribers go on at the other
// copy, at once and with nothing missed.
func TestF17RollingRestart(t *testing.T) {
	s := Open(t, Plan{Walkaways: true, Subscribers: 6})
	load := s.Load()
	for range 2 {
		for _, c := range s.Copies {
			load.More(150)
			began := time.Now()
			c.Stop()
			stopped := time.Since(began)
			for _, sub := range s.Subscribers {
				s.await(resumeLimit, sub.Name+" goes on", sub.Live)
			}
			t.Logf("%s stopped within %s, subscribers had everything %s after it was told to", c.Name, stopped.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			assert.Less(t, stopped, restLimit)
			load.More(50) // the other copy has it all
			c.Start()
		}
	}
	load.More(200)
	load.Stop()
	assert.Positive(t, load.Codes.Count("lost"), "nobody noticed")
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	assert.Empty(t, append(load.Codes.Torn(), load.PageCodes.Torn()...), "answers that were not whole")
	for _, sub := range s.Subscribers {
		assert.Greater(t, sub.Sessions(), 1, "%s", sub)
		end := endOfSocket
		if strings.HasPrefix(sub.Name, "sse") {
			end = endOfEvents
		}
		for _, was := range sub.Ends() {
			assert.Contains(t, was, end, sub.Name)
		}
	}
	s.Check()
}

// TestF17RequestsUnderWay: a copy is told to stop while requests wait in it for a row that somebody else keeps. It takes no
// more, and answers those that it has.
func TestF17RequestsUnderWay(t *testing.T) {
	s := Open(t, Plan{Customers: 4})
	s.Stock(map[string]int{"late": underWay}, "")
	load := s.Load()
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	row, err := s.pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = row.Rollback(context.Background()) }()
	_, err = row.Exec(ctx, `SELECT 1 FROM stock_levels WHERE product_id = 'late' FOR UPDATE`)
	require.NoError(t, err)

	c := s.Copies[0]
	answers := make(chan error, underWay)
	for n := range underWay {
		go func() { answers <- s.holdOne(ctx, c, "late", n) }()
	}
	s.await(moreLimit, "the requests are in the copy's hands", func() bool {
		m, err := c.Metrics()
		return err == nil && m["onhand_writes_blocked"] >= underWay
	})
	stopped := make(chan struct{})
	go func() { defer close(stopped); c.Stop() }()
	s.await(restLimit, c.Name+" takes no more", func() bool {
		conn, err := net.DialTimeout("tcp", strings.TrimPrefix(c.URL(), "http://"), time.Second)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	load.During(underWayFor)
	require.Empty(t, answers, "none can have been answered yet")
	require.NoError(t, row.Rollback(ctx))
	for range underWay {
		require.NoError(t, <-answers)
	}
	<-stopped
	c.Start()
	load.More(100)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.Codes.Torn())
	s.Check()
}

// holdOne holds one unit, asking once.
func (s *Scene) holdOne(ctx context.Context, c *Copy, product string, n int) error {
	var data struct{ Answer answer }
	err := s.client.Ask(ctx, c.URL(), reserveDocument, map[string]any{"input": map[string]any{
		"idempotencyKey": fmt.Sprintf("%s-%s-%d", s.name, product, n), "ttlSeconds": int(ttlLong.Seconds()),
		"lines": []map[string]any{{"productId": product, "quantity": 1}}}}, &data)
	if err == nil && data.Answer.id() == "" {
		err = fmt.Errorf("refused: %+v", data.Answer.Errors)
	}
	return err
}
