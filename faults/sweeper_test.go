package faults

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// cartsAtOnce is how many carts a racer fills before their time comes.
const cartsAtOnce = 12

// nearTheEnd is how far from the end of a hold a racer orders it, at most.
const nearTheEnd = 30 * time.Millisecond

// race fills carts that are held for a second, and orders each when its time is just about over. Both sweepers are after
// them at the same moment, and so are buyers of the same scarce product.
func race(c *customer, ctx context.Context) {
	var carts []Made
	var ends []time.Time
	for range cartsAtOnce {
		if made := c.hold(map[string]int{c.product(): 1}, time.Second); made.ID != "" {
			carts, ends = append(carts, made), append(ends, made.Ends)
		}
	}
	for i, made := range carts {
		near := time.Duration(c.dice.Int64N(int64(2*nearTheEnd))) - nearTheEnd
		c.think(ctx, time.Until(ends[i].Add(near)))
		c.resolve(Commit, made)
	}
	c.read(c.product())
}

// TestF14SweepersRace: the sweepers of both copies, buyers who are short, and customers who order at the last moment all
// resolve the same holds. Each is resolved once, and both ways happen.
func TestF14SweepersRace(t *testing.T) {
	s := Open(t, Plan{Opening: map[string]int{"cup": 60, "mug": 1500}, Customers: 16, Think: time.Millisecond})
	load := s.LoadOf(race)
	load.More(16 * 6)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	ends := map[string]int{}
	ctx, cancel := s.looking()
	defer cancel()
	rows, err := s.rows(ctx)
	require.NoError(t, err)
	for _, r := range rows {
		ends[r.state]++
	}
	t.Logf("%v", ends)
	assert.Greater(t, ends[stateExpired], 50)
	assert.Greater(t, ends["COMMITTED"], 50)
	s.Check()
}
