package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fastMax is how long a copy may take to say that it has no connection to the database.
const fastMax = time.Second

// TestF16TooFewConnections: the database gives both copies together fewer connections than they ask for, then none, then
// enough. Without any, each request is refused at once, with a hint when to come back; with few, the shop goes on, if
// slower; and with enough all is as before, without a restart.
func TestF16TooFewConnections(t *testing.T) {
	const few = 5
	s := Open(t, Plan{PrivatePostgres: true, ConnectionsMax: 2 * (connectionsMax + 2), Customers: 24, Think: 2 * time.Millisecond, Walkaways: true})
	ctx, cancel := context.WithTimeout(context.Background(), moreLimit)
	defer cancel()
	limit := func(n int) {
		s.statements(ctx, s.Database, fmt.Sprintf(`ALTER ROLE %s CONNECTION LIMIT %d`, shopRole, n),
			`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '`+shopRole+`'`)
	}
	load := s.Load()
	load.More(300)
	s.Outage(func() {
		limit(few)
		load.Slowest()
		load.More(300)
		t.Logf("with %d connections: the slowest request took %s", few, load.Slowest())
		limit(0)
		s.refused(t, ctx)
		load.During(2 * time.Second)
		for _, c := range s.Copies {
			m, err := c.Metrics()
			require.NoError(t, err)
			assert.LessOrEqual(t, m["onhand_writes_waiting"], float64(s.plan.Customers), "nobody asks more than one thing at a time")
		}
		s.refused(t, ctx)
		limit(few)
		load.More(200)
		limit(-1)
	})
	load.More(300)
	load.Stop()
	assert.Positive(t, load.Codes.Count("UNAVAILABLE"), "nobody noticed")
	assert.Zero(t, load.Codes.Count("lost"))
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	s.Check()
}

// refused asks each copy for a read of the database and for a write, which it must refuse at once, saying when to come
// back.
func (s *Scene) refused(t *testing.T, ctx context.Context) {
	t.Helper()
	for _, c := range s.Copies {
		for name, ask := range map[string]struct {
			document  string
			variables map[string]any
		}{
			"read": {primaryDocument, map[string]any{"id": s.products[0]}},
			"write": {reserveDocument, map[string]any{"input": map[string]any{"idempotencyKey": fmt.Sprint("refused ", time.Now().UnixNano()),
				"lines": []map[string]any{{"productId": "nothing", "quantity": 1}}}}},
		} {
			began := time.Now()
			err := s.client.Ask(ctx, c.URL(), ask.document, ask.variables, &struct{}{})
			took := time.Since(began)
			var told *lost
			if assert.ErrorAs(t, err, &told, "%s: %s", c.Name, name) {
				assert.Equal(t, "UNAVAILABLE", told.code, "%s: %s: %s", c.Name, name, told.message)
				assert.Positive(t, told.retryAfter, "%s: %s: no hint", c.Name, name)
			}
			assert.Less(t, took, fastMax, "%s: %s", c.Name, name)
		}
	}
}
