package faults

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestChecksFind breaks a healthy shop in one way at a time, behind the triggers' back, and sees that each check that is
// to find it does, and finds nothing before.
func TestChecksFind(t *testing.T) {
	s := Open(t, Plan{Short: true, Opening: map[string]int{"cup": 300, "mug": 300}, Shoppers: -1, Subscribers: -1})
	load := s.Load()
	load.More(200)
	load.Stop()
	s.Check()

	for name, c := range map[string]struct{ statement, finds string }{
		"I2 below the floor":   {`UPDATE ledger_rows SET available_after = -1 WHERE movement_id = ` + fifthRow, "I2"},
		"I4 a lost update":     {`UPDATE stock_levels SET available = available + 1, reserved = reserved - 1 WHERE product_id = 'cup' AND reserved > 0`, "I4"},
		"I4 a forgotten order": {`DELETE FROM reservations WHERE state = 'COMMITTED'`, "I4"},
		"I5 a lost movement":   {`DELETE FROM ledger_rows WHERE movement_id = ` + fifthRow, "I5"},
		"I5 a wrong delta":     {`UPDATE ledger_rows SET damaged_delta = 1 WHERE movement_id = ` + fifthRow, "I5"},
		"I5 the last movement": {`DELETE FROM ledger_rows WHERE movement_id = (SELECT max(movement_id) FROM ledger_rows)`, "I5"},
		"I6 released twice": {`INSERT INTO ledger_rows (` + movementColumns + `) SELECT ` + movementColumns + ` FROM stock_movements
			WHERE reason = 'RELEASED' ORDER BY movement_id LIMIT 1`, "I6"},
		"I6 released and ordered": {`UPDATE reservations SET state = 'COMMITTED' WHERE state = 'RELEASED'`, "I6"},
		"I6 half a cart":          {`UPDATE reservations SET lines = lines::jsonb || (lines->0)::jsonb WHERE state = 'RELEASED'`, "I6"},
	} {
		t.Run(name, func(t *testing.T) {
			assert.Contains(t, s.behindTheBack(t, c.statement), c.finds+": ")
		})
	}
	t.Run("I5 on hand", func(t *testing.T) {
		assert.Contains(t, s.behindTheBack(t, `UPDATE stock_levels SET available = available + 1 WHERE product_id = 'cup'`), "on hand")
	})
	t.Run("I3", func(t *testing.T) {
		promises := s.History.Promises()[:1]
		require.Empty(t, s.brokenPromises(promises))
		promises[0].Answer += "other"
		assert.Len(t, s.brokenPromises(promises), 1)
	})
	t.Run("I7", func(t *testing.T) { s.breakRedis(t) })
}

const fifthRow = `(SELECT movement_id FROM ledger_rows ORDER BY movement_id OFFSET 4 LIMIT 1)`

const movementColumns = `product_id, location_id, available_delta, reserved_delta, committed_delta, damaged_delta, quality_control_delta, safety_stock_delta,
	incoming_delta, available_after, reserved_after, committed_after, damaged_after, quality_control_after, safety_stock_after, incoming_after, reason, reservation_id, version`

// behindTheBack runs a statement without triggers, says what the checks find, and takes it back.
func (s *Scene) behindTheBack(t *testing.T, statement string) string {
	ctx, cancel := s.looking()
	defer cancel()
	tx, err := s.pool.Begin(ctx)
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	require.Empty(t, s.databaseFaults(ctx, tx))
	_, err = tx.Exec(ctx, "SET LOCAL session_replication_role = replica")
	require.NoError(t, err)
	tag, err := tx.Exec(ctx, statement)
	require.NoError(t, err)
	require.Positive(t, tag.RowsAffected())
	totals, err := s.endTotals(ctx, tx)
	require.NoError(t, err)
	return strings.Join(append(s.databaseFaults(ctx, tx), totals...), "\n")
}

// breakRedis writes what no database has said.
func (s *Scene) breakRedis(t *testing.T) {
	ctx, cancel := s.looking()
	defer cancel()
	require.Empty(t, s.cacheDifferences())
	a := &ahead{}
	a.look(ctx, s)
	found, back, looked := a.result()
	require.Empty(t, append(found, back...))
	require.Equal(t, 1, looked)

	require.NoError(t, s.redis.HIncrBy(ctx, "inventory:cup", "version", 100).Err())
	a.look(ctx, s)
	require.NoError(t, s.redis.HIncrBy(ctx, "inventory:cup", "version", -100).Err())
	a.look(ctx, s)
	found, back, _ = a.result()
	assert.Len(t, found, 1, "ahead")
	assert.Len(t, back, 1, "back")

	old, err := s.redis.HGetAll(ctx, "inventory:mug").Result()
	require.NoError(t, err)
	require.NotEmpty(t, s.Customer(0).hold(map[string]int{"mug": 1}, ttlLong).ID)
	require.Empty(t, s.cacheDifferences())
	require.NoError(t, s.redis.HSet(ctx, "inventory:mug", old).Err())
	assert.NotEmpty(t, s.cacheDifferences(), "an old value")
}

// TestHoldFaults: what checkHolds finds, on rows made for it.
func TestHoldFaults(t *testing.T) {
	t.Parallel()
	s := &Scene{History: newHistory()}
	began := s.History.began
	at := func(seconds float64) time.Time { return began.Add(time.Duration(seconds * float64(time.Second))) }
	since := func(seconds float64) int64 { return s.History.At(at(seconds)) }
	hold := func(done bool, call, back float64) Operation {
		o := Operation{Kind: Hold, Hold: 1, Lines: map[string]int{"cup": 1}, Done: done, Call: since(call), Return: since(back)}
		if !done {
			o.Short = map[string]int{"cup": 0}
		}
		return o
	}
	order := func(call float64) Operation {
		return Operation{Kind: Commit, Hold: 1, Lines: map[string]int{"cup": 1}, Done: true, Call: since(call), Return: since(call + 1)}
	}
	of := func(owner, state string, expires, resolved float64) row {
		return row{owner: owner, state: state, expiresAt: at(expires), resolved: at(resolved)}
	}
	other := hold(false, 4, 5)
	other.Hold = 2
	for name, c := range map[string]struct {
		right      bool
		rows       []row
		operations []Operation
	}{
		"held":                      {true, []row{of("hold-1", "ACTIVE", 3600, 0)}, []Operation{hold(true, 1, 2)}},
		"lost":                      {false, nil, []Operation{hold(true, 1, 2)}},
		"refused":                   {true, nil, []Operation{hold(false, 1, 2)}},
		"refused, and there it is":  {false, []row{of("hold-1", "ACTIVE", 3600, 0)}, []Operation{hold(false, 1, 2)}},
		"twice":                     {false, []row{of("hold-1", "ACTIVE", 3600, 0), of("hold-1", "ACTIVE", 3600, 0)}, []Operation{hold(true, 1, 2)}},
		"expired in time":           {true, []row{of("hold-1", "EXPIRED", 3, 3.5)}, []Operation{hold(true, 1, 2)}},
		"expired too early":         {false, []row{of("hold-1", "EXPIRED", 3, 2.9)}, []Operation{hold(true, 1, 2)}},
		"expired too late":          {false, []row{of("hold-1", "EXPIRED", 3, 4.1)}, []Operation{hold(true, 1, 2)}},
		"ordered":                   {true, []row{of("hold-1", "COMMITTED", 3, 2.6)}, []Operation{hold(true, 1, 2), order(2.5)}},
		"ordered after its time":    {false, []row{of("hold-1", "COMMITTED", 3, 3.2)}, []Operation{hold(true, 1, 2), order(3.1)}},
		"ordered and expired":       {false, []row{of("hold-1", "EXPIRED", 3, 3.2)}, []Operation{hold(true, 1, 2), order(2.5)}},
		"refused for a live one":    {true, []row{of("hold-1", "EXPIRED", 4.5, 5.4)}, []Operation{hold(true, 1, 2), other}},
		"refused for one just over": {true, []row{of("hold-1", "EXPIRED", 3.9, 4.5)}, []Operation{hold(true, 1, 2), other}},
		"refused for one long over": {false, []row{of("hold-1", "EXPIRED", 3.9, 4.9+0.15)}, []Operation{hold(true, 1, 2), other}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, c.right, len(s.holdFaults(c.rows, c.operations)) == 0, "%v", s.holdFaults(c.rows, c.operations))
		})
	}
}

// TestRestless: a copy that keeps something is found.
func TestRestless(t *testing.T) {
	t.Parallel()
	baseline := Metrics{"go_goroutines": 50, "go_memstats_heap_inuse_bytes": 20 << 20}
	assert.Empty(t, restless(Metrics{"go_goroutines": 60, "onhand_database_connections": 16}, baseline))
	assert.Len(t, restless(Metrics{"go_goroutines": 200, "onhand_watches": 1, `onhand_requests_open{transport="sse"}`: 1}, baseline), 3)
}
