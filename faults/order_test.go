package faults

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// opposite fills carts with the same products, named in one order by one half of the customers and in the other by the
// other half, so that both copies meet both.
func opposite(c *customer, ctx context.Context) {
	lines := map[string]int{}
	for _, product := range c.scene.products {
		lines[product] = 1
	}
	if made := c.hold(lines, ttlLong); made.ID != "" {
		c.resolve([]Kind{Commit, Release, Extend}[c.dice.IntN(3)], made)
	}
	if c.dice.IntN(8) == 0 {
		c.read(c.product())
	}
}

// directs is how many sessions change levels without us.
const directs = 2

// directPause is how long one of them waits before the next transaction, at most.
const directPause = 40 * time.Millisecond

// TestF15OppositeOrder: customers of both copies hold carts of the same products, and sessions of other programs change
// several levels a transaction, in both orders, a row at a time. They deadlock, and Postgres, which looks sooner than it
// usually does, ends one of them or one of ours; no customer is told of it, nor of anything else.
func TestF15OppositeOrder(t *testing.T) {
	s := Open(t, Plan{Customers: 16, Think: time.Millisecond, PrivatePostgres: true,
		PostgresOptions: []storetest.Option{storetest.WithSetting("deadlock_timeout", "20ms")}})
	load := s.LoadOf(opposite)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var sessions sync.WaitGroup
	var mu sync.Mutex
	done, deadlocks := 0, 0
	for n := range directs {
		dice := chance(t, "direct "+string(rune('0'+n)))
		products := slices.Clone(s.products)
		if n%2 == 1 {
			slices.Reverse(products)
		}
		sessions.Go(func() {
			for ctx.Err() == nil {
				err := s.touchLevels(ctx, products, dice)
				var refused *pgconn.PgError
				mu.Lock()
				switch {
				case err == nil:
					done++
				case errors.As(err, &refused) && refused.Code == "40P01":
					deadlocks++
				case ctx.Err() == nil:
					t.Errorf("a session of its own: %v", err)
				}
				mu.Unlock()
				time.Sleep(time.Duration(dice.IntN(int(directPause))))
			}
		})
	}
	load.More(1500)
	stop()
	sessions.Wait()
	load.More(100)
	load.Stop()
	ours := s.deadlocks(t)
	t.Logf("%d transactions of other programs, %d of them ended by a deadlock; %d deadlocks in all", done, deadlocks, ours)
	assert.Positive(t, done)
	assert.Positive(t, ours, "nobody met anybody")
	assert.Empty(t, load.Codes.String(), "a customer was told")
	load.untroubled(t)
	s.Check()
}

// touchLevels notes one damaged unit of each product, or that there is none, as a program does that knows the tables: one
// row after the other, in its own order.
func (s *Scene) touchLevels(ctx context.Context, products []string, dice *rand.Rand) error {
	tx, err := s.pool.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	for _, product := range products {
		_, err := tx.Exec(ctx, `UPDATE stock_levels SET damaged = 1 - damaged WHERE product_id = $1`, product)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(dice.IntN(int(3 * time.Millisecond)))) // it thinks
	}
	return tx.Commit(ctx)
}

// deadlocks is how many Postgres has found in the shop's database.
func (s *Scene) deadlocks(t *testing.T) (n int) {
	ctx, cancel := s.looking()
	defer cancel()
	s.await(patience, "the statistics", func() bool { // written when a session has been idle for a while
		require.NoError(t, s.pool.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n))
		return n > 0
	})
	return n
}
