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

	"onhand/faults/chance"
	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/model"
	"onhand/store/storetest"
)

// deadlockDetected is Postgres's code.
const deadlockDetected = "40P01"

// reserveAll reserves carts of all products, in a random order of lines, so that both instances meet every order.
func reserveAll(c *load.Customer, _ context.Context) {
	lines := map[string]int{}
	for _, product := range c.Target.Products {
		lines[product] = 1
	}
	if cart := c.Reserve(lines, load.LongTTL); cart.ID != "" {
		c.Resolve([]model.Kind{model.Commit, model.Release, model.Extend}[c.Dice.IntN(3)], cart)
	}
	if c.Dice.IntN(8) == 0 {
		c.Read(c.Product())
	}
}

const (
	// otherPrograms is how many sessions change levels without the server.
	otherPrograms = 2
	// otherPauseMax is how long one of them waits before the next transaction; otherThinkMax, between two rows.
	otherPauseMax, otherThinkMax = 40 * time.Millisecond, 3 * time.Millisecond
)

// TestF15OppositeOrder: customers of both instances reserve carts of the same products, and other programs change several
// levels in a transaction, in both orders, a row at a time. They deadlock. Postgres, which looks sooner than by default,
// ends one transaction, theirs or the server's. No customer notices.
func TestF15OppositeOrder(t *testing.T) {
	s := Open(t, Setup{
		Customers: 16, ThinkTime: time.Millisecond, PrivatePostgres: true,
		PostgresOptions: []storetest.Option{storetest.WithSetting("deadlock_timeout", "20ms")},
	})
	l := s.LoadOf(reserveAll)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var programs sync.WaitGroup
	var results otherResults
	for n := range otherPrograms {
		products := slices.Clone(s.Target.Products)
		if n%2 == 1 {
			slices.Reverse(products)
		}
		programs.Go(func() { s.runOtherProgram(ctx, n, products, &results) })
	}
	l.More(1500)
	stop()
	programs.Wait()
	l.More(100)
	l.Stop()
	all := s.deadlocks(t)
	t.Logf("%d transactions of other programs, %d of them ended by a deadlock; %d deadlocks in all", results.done, results.deadlocks, all)
	assert.Positive(t, results.done)
	assert.Positive(t, all, "no transactions met")
	l.CheckUndisturbed(t)
	s.Check()
}

// otherResults counts how the transactions of other programs ended.
type otherResults struct {
	mu              sync.Mutex
	done, deadlocks int
}

// runOtherProgram changes levels in its own order until ctx ends.
func (s *Shop) runOtherProgram(ctx context.Context, number int, products []string, results *otherResults) {
	dice := chance.New(s.t, "other program "+string(rune('0'+number)))
	for ctx.Err() == nil {
		err := s.toggleLevels(ctx, products, dice)
		var refused *pgconn.PgError
		results.mu.Lock()
		switch {
		case err == nil:
			results.done++
		case errors.As(err, &refused) && refused.Code == deadlockDetected:
			results.deadlocks++
		case ctx.Err() == nil:
			s.t.Errorf("another program: %v", err)
		}
		results.mu.Unlock()
		time.Sleep(time.Duration(dice.IntN(int(otherPauseMax))))
	}
}

// toggleLevels changes one row after the other in one transaction.
func (s *Shop) toggleLevels(ctx context.Context, products []string, dice *rand.Rand) error {
	tx, err := s.Checker.Database.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }() // after a commit it does nothing
	for _, product := range products {
		if _, err := tx.Exec(ctx, checker.ToggleDamaged, product); err != nil {
			return err
		}
		time.Sleep(time.Duration(dice.IntN(int(otherThinkMax))))
	}
	return tx.Commit(ctx)
}

// deadlocks is how many Postgres has found in the shop's database.
func (s *Shop) deadlocks(t *testing.T) (n int) {
	ctx, cancel := reading()
	defer cancel()
	s.Await(load.RetryLimit, "the statistics", func() bool { // written when a session has been idle for a while
		require.NoError(t, s.Checker.Database.QueryRow(ctx, `SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()`).Scan(&n))
		return n > 0
	})
	return n
}
