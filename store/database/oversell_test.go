package database_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// instances returns the shop's Database and, where the engine can be shared, that of a
// second instance.
func instances(t *testing.T, s *shop) []*database.Database {
	t.Helper()
	if s.kind == memory {
		return []*database.Database{s.Database}
	}
	return []*database.Database{s.Database, open(t, s.url)}
}

// 64 callers in two instances sell exactly 1,000 of 1,000 units, and no call is refused
// while units are left.
func TestNeverOversold(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const units, callers = 1000, 64
		s.stock("mug", "north", units/2, "south", units-units/2)
		databases := instances(t, s)
		var sold atomic.Int64
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				db := databases[caller%len(databases)]
				for n := caller%5 + 1; n > 0; {
					out, err := db.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", n))})
					if !assert.NoError(t, err) {
						return
					}
					if len(out.Results[0].Errors) > 0 {
						n-- // ask for less, until there is none
						continue
					}
					sold.Add(int64(n))
				}
			})
		}
		group.Wait()
		require.Equal(t, int64(units), sold.Load())
		require.Equal(t, 0, s.read("mug").Quantity())
		require.Equal(t, units, s.read("mug").Total().Reserved)
	})
}

// Carts with the same products in opposite order, beside an outside writer, neither
// deadlock for good nor oversell.
func TestOppositeCarts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		callers, rounds, products := 24, 6, 6
		if race {
			callers, rounds = 8, 3
		}
		var cart []models.RequestedLine
		for i := range products {
			id := fmt.Sprintf("item %d", i)
			s.stock(id, "north", callers*rounds/4, "south", callers*rounds/4)
			cart = append(cart, line(id, 1))
		}
		databases := instances(t, s)
		var group sync.WaitGroup
		var reserved atomic.Int64
		for caller := range callers {
			group.Go(func() {
				lines := make([]models.RequestedLine, products)
				for i := range lines {
					lines[i] = cart[i]
					if caller%2 == 1 {
						lines[i] = cart[products-1-i]
					}
				}
				for range rounds {
					out, err := databases[caller%len(databases)].WriteUnderLock(context.Background(), []models.Write{reserve(lines...)})
					if assert.NoError(t, err) && len(out.Results[0].Errors) == 0 {
						reserved.Add(1)
					}
				}
			})
		}
		group.Go(func() {
			for round := range 5 * products {
				_, err := s.raw.Exec("UPDATE stock_levels SET damaged = damaged + 1 WHERE product_id = $1 AND location_id = 'south'", cart[round%products].ProductID)
				assert.NoError(t, err)
			}
		})
		group.Wait()
		require.Equal(t, int64(callers*rounds/2), reserved.Load())
		for i := range products {
			require.Equal(t, 0, s.read(fmt.Sprintf("item %d", i)).Quantity())
		}
	})
}

// Concurrent counts set only the counted state. They lose none of the reserved units.
func TestCountsBesideCarts(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		const callers, rounds = 8, 10
		s.stock("mug", "north", callers*rounds)
		databases := instances(t, s)
		var group sync.WaitGroup
		for caller := range callers {
			group.Go(func() {
				for round := range rounds {
					db := databases[(caller+round)%len(databases)]
					_, err := db.WriteUnderLock(context.Background(), []models.Write{reserve(line("mug", 1))})
					assert.NoError(t, err)
					_, err = db.WriteUnderLock(context.Background(), []models.Write{counted(row("mug", "north", models.Damaged, 1+caller+round))})
					assert.NoError(t, err)
				}
			})
		}
		group.Wait()
		q := s.level("mug", "north")
		require.Equal(t, []int{0, callers * rounds}, []int{q.Available, q.Reserved})
	})
}

// The product is never below its floor, not even between two rows of the ledger.
func TestLedgerNeverBelowTheFloor(t *testing.T) {
	onEvery(t, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 20, "south", 10)
		s.stock("owed", "north", 5, "south", 5)
		s.settings("owed", "inventory_policy = 'CONTINUE', backorder_limit = 7")
		var group sync.WaitGroup
		for caller := range 12 {
			group.Go(func() {
				for round := range 8 {
					made := reserve(line("owed", 1+round%3), line("mug", 1+caller%4))
					made.AllowPartial = caller%3 == 0
					id := s.ReservationOf(made.IdempotencyKey)
					_, err := s.WriteUnderLock(context.Background(), []models.Write{made, adjust(delta("mug", "south", models.Available, -1))})
					assert.NoError(t, err)
					if round%2 == 0 {
						_, err = s.WriteUnderLock(context.Background(), []models.Write{release(id), adjust(delta("mug", "north", models.Available, 1))})
						assert.NoError(t, err)
					}
				}
			})
		}
		group.Wait()
		for product, floor := range map[string]int{"mug": 0, "owed": -7} {
			total := 0
			for _, m := range s.movements(product) {
				total += m.Delta.Available
				require.GreaterOrEqual(t, total, floor, "%s after movement %d", product, m.MovementID)
			}
			require.Equal(t, s.read(product).Quantity(), total)
		}
	})
}
