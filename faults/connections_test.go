package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
)

const (
	// refusalLimit is how long an instance may take to say that it has no connection to the database.
	refusalLimit = time.Second
	// fewConnections is less than two instances ask for.
	fewConnections = 5
)

// TestF16TooFewConnections: the database gives both instances together fewer connections than they ask for, then none,
// then enough. Without any, each request is refused at once, with a hint when to come back. With few, the shop is slower.
// With enough, all is as before, without a restart.
func TestF16TooFewConnections(t *testing.T) {
	s := Open(t, Setup{
		PrivatePostgres: true, ConnectionsMax: 2 * (connectionsMax + 2), Customers: 24, ThinkTime: 2 * time.Millisecond, ShortReservations: true,
	})
	ctx, cancel := context.WithTimeout(context.Background(), load.MoreLimit)
	defer cancel()
	limit := func(n int) {
		s.execute(ctx, s.databaseURL, fmt.Sprintf(`ALTER ROLE onhand_server CONNECTION LIMIT %d`, n),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'onhand_server'`)
	}
	l := s.Load()
	l.More(300)
	s.Outage(func() {
		limit(fewConnections)
		l.Slowest()
		l.More(300)
		t.Logf("with %d connections: the slowest request took %s", fewConnections, l.Slowest())
		limit(0)
		s.checkRefusals(ctx, t)
		l.During(2 * time.Second)
		for _, m := range s.metrics() {
			assert.LessOrEqual(t, m["onhand_writes_waiting"], float64(s.setup.Customers), "a customer has one operation in flight")
		}
		s.checkRefusals(ctx, t)
		limit(fewConnections)
		l.More(200)
		limit(-1)
	})
	l.More(300)
	l.Stop()
	assert.Positive(t, l.Attempts.Count(load.Unavailable), "the fault had no effect")
	assert.Zero(t, l.Attempts.Count(load.NoAnswer))
	l.CheckRetryable(t)
	s.Check()
}

// checkRefusals asks each instance for a read of the database and for a write. It must refuse both at once, and say when
// to come back.
func (s *Shop) checkRefusals(ctx context.Context, t *testing.T) {
	t.Helper()
	for _, i := range s.Instances {
		for name, ask := range map[string]struct {
			document  string
			variables map[string]any
		}{
			"read": {load.PrimaryDocument, map[string]any{"id": s.Target.Products[0]}},
			"write": {load.ReserveDocument, map[string]any{"input": map[string]any{
				"idempotencyKey": fmt.Sprint("refused ", time.Now().UnixNano()), "lines": []map[string]any{{"productId": "nothing", "quantity": 1}},
			}}},
		} {
			began := time.Now()
			err := s.Target.Client.Ask(ctx, i.URL(), ask.document, ask.variables, &struct{}{})
			took := time.Since(began)
			var refused *load.AttemptError
			if assert.ErrorAs(t, err, &refused, "%s: %s", i.Name, name) {
				assert.Equal(t, load.Unavailable, refused.Code, "%s: %s: %s", i.Name, name, refused.Message)
				assert.Positive(t, refused.RetryAfter, "%s: %s: no hint", i.Name, name)
			}
			assert.Less(t, took, refusalLimit, "%s: %s", i.Name, name)
		}
	}
}
