package faults

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/load"
	"onhand/faults/model"
)

const (
	// racedCarts is how many carts a customer reserves before their time comes.
	racedCarts = 12
	// racedWithin is how far from the end of a reservation a customer commits it, at most.
	racedWithin = 30 * time.Millisecond
)

// commitLate reserves carts for a second, and commits each when its time is just about over. Both sweepers end them at the
// same moment, and other customers want the same scarce product.
func commitLate(c *load.Customer, ctx context.Context) {
	var carts []model.Cart
	for range racedCarts {
		if cart := c.Reserve(map[string]int{c.Product(): 1}, time.Second); cart.ID != "" {
			carts = append(carts, cart)
		}
	}
	for _, cart := range carts {
		offset := time.Duration(c.Dice.Int64N(int64(2*racedWithin))) - racedWithin
		c.Pause(ctx, time.Until(cart.ExpiresAt.Add(offset)))
		c.Resolve(model.Commit, cart)
	}
	c.Read(c.Product())
}

// TestF14SweepersRace: the sweepers of both instances, customers who find too little, and customers who commit at the last
// moment all resolve the same reservations. Each is resolved once, and both results happen.
func TestF14SweepersRace(t *testing.T) {
	s := Open(t, Setup{Opening: map[string]int{"cup": 60, "mug": 1500}, Customers: 16, ThinkTime: time.Millisecond})
	l := s.LoadOf(commitLate)
	l.More(16 * 6)
	l.Stop()
	l.CheckRetryable(t)
	ctx, cancel := reading()
	defer cancel()
	rows, err := s.Checker.Reservations(ctx)
	require.NoError(t, err)
	states := map[string]int{}
	for _, r := range rows {
		states[r.State]++
	}
	t.Logf("%v", states)
	assert.Greater(t, states[model.StateExpired], 50)
	assert.Greater(t, states[model.StateCommitted], 50)
	s.Check()
}
