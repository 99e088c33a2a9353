package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// Sixty-four buyers reserve one to five units each until a thousand are sold:
// exactly a thousand are sold, and every reservation can be committed.
func TestNeverOversell(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 1000, "hot")
		var sold atomic.Int64
		var wg sync.WaitGroup
		for buyer := range 64 {
			wg.Go(func() {
				for i := 0; ; i++ {
					n := 1 + rand.IntN(5)
					result, err := s.Write(t.Context(), reserve(fmt.Sprintf("b%d-%d", buyer, i), "hot", n, time.Hour))
					if err != nil {
						t.Error(err)
						return
					}
					if result.Reservation == nil {
						if short := result.Errors[0].(models.InsufficientStockError); short.Available == 0 {
							return
						}
						continue // fewer left than asked for
					}
					committed, err := s.Write(t.Context(), models.Resolve{
						IdempotencyKey: fmt.Sprintf("c%d-%d", buyer, i), ID: result.Reservation.ID, To: models.ReservationCommitted,
					})
					if err != nil || len(committed.Errors) > 0 {
						t.Errorf("reserved and not committed: %v %v", err, committed.Errors)
					}
					sold.Add(int64(n))
				}
			})
		}
		wg.Wait()
		require.EqualValues(t, 1000, sold.Load())
		stock, err := s.FreshStock(t.Context(), "hot")
		require.NoError(t, err)
		require.Equal(t, models.Quantities{Committed: 1000}, stock.Total())
		require.Equal(t, stock.Version, read(t, s, "hot").Version, "redis has it")
	})
}

// Many callers use one key at the same time: there is one reservation, and all get
// it.
func TestOneKeyManyCallers(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 10, "x")
		var fresh atomic.Int64
		ids := make(chan string, 32)
		var wg sync.WaitGroup
		for range 32 {
			wg.Go(func() {
				result, err := s.Write(t.Context(), reserve("same", "x", 4, time.Hour))
				if err != nil || result.Reservation == nil {
					t.Error(err, result.Errors)
					return
				}
				if !result.Replayed {
					fresh.Add(1)
				}
				ids <- result.Reservation.ID
			})
		}
		wg.Wait()
		close(ids)
		require.EqualValues(t, 1, fresh.Load())
		first := <-ids
		for id := range ids {
			require.Equal(t, first, id)
		}
		require.Equal(t, 6, read(t, s, "x").Quantity())
	})
}

// The answer to a repeated stock write has the stock of now.
func TestReplayedAdjust(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 1, "x")
		require.Equal(t, 3, write(t, s, receive("k", "x", 2)).Stocks[0].Quantity())
		write(t, s, receive("other", "x", 5))
		again := write(t, s, receive("k", "x", 2))
		require.True(t, again.Replayed)
		require.Equal(t, 8, again.Stocks[0].Quantity())
	})
}

// Input that can never be right is refused before it reaches the database.
func TestInvalidWrites(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		for name, w := range map[string]models.Write{
			"no lines":      models.Reserve{IdempotencyKey: "k", TTL: time.Hour},
			"zero":          reserve("k", "x", 0, time.Hour),
			"negative":      reserve("k", "x", -1, time.Hour),
			"huge":          reserve("k", "x", models.QuantityMax+1, time.Hour),
			"no key":        reserve("", "x", 1, time.Hour),
			"ttl too short": reserve("k", "x", 1, time.Millisecond),
			"ttl too long":  reserve("k", "x", 1, 25*time.Hour),
			"empty id":      reserve("k", "", 1, time.Hour),
			"control in id": reserve("k", "a\x00b", 1, time.Hour),
			"reserved by hand": models.Adjust{IdempotencyKey: "k", Reason: models.ReasonOther, Rows: []models.AdjustRow{
				{ProductID: "x", LocationID: "a", State: models.Reserved, Delta: 1},
			}},
			"zero delta":     receive("k", "x", 0),
			"too many lines": models.Reserve{IdempotencyKey: "k", TTL: time.Hour, Lines: make([]models.RequestedLine, models.ReservationLinesMax+1)},
		} {
			result := write(t, s, w)
			require.NotEmpty(t, result.Errors, name)
			require.IsType(t, models.InvalidInputError{}, result.Errors[0], name)
		}
		require.Equal(t, 5, read(t, s, "x").Quantity())
	})
}

// A reservation past its time is ended without a request, and its subscribers see
// it.
func TestSweeper(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		reserved := write(t, s, reserve("k", "x", 5, time.Second)).Reservation
		require.Equal(t, 5, reserved.Lines[0].Quantity)
		watch, err := s.WatchReservation(t.Context(), reserved.ID)
		require.NoError(t, err)
		defer watch.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for state := models.ReservationActive; state == models.ReservationActive; {
			next, err := watch.Next(ctx)
			require.NoError(t, err)
			state = next.State
		}
		eventually(t, func() bool { return read(t, s, "x").Quantity() == 5 })
	})
}

// A console that forgot to commit blocks the buyers of that product alone. They
// are served as soon as it commits. The sweeper goes on too.
func TestForgottenTransaction(t *testing.T) {
	t.Parallel()
	url := storetest.Postgres(t)
	s := open(t, Config{DatabaseURL: url})
	stockUp(t, s, 50, "locked", "free")
	write(t, s, reserve("short", "free", 5, time.Second))
	console := outside(t, url).Begin()
	require.NoError(t, console.Exec("UPDATE stock_levels SET damaged = damaged + 1 WHERE product_id = 'locked'").Error)
	var waiting sync.WaitGroup
	for i := range 5 {
		waiting.Go(func() {
			result, err := s.Write(t.Context(), reserve(fmt.Sprintf("locked %d", i), "locked", 1, time.Minute))
			assert.NoError(t, err)
			assert.Empty(t, result.Errors)
		})
	}
	blocked := func() int { _, blocked := s.writes.Waiting(); return blocked }
	eventually(t, func() bool { return blocked() == 5 })
	for i := range 20 {
		write(t, s, reserve(fmt.Sprintf("free %d", i), "free", 1, time.Minute))
	}
	require.Equal(t, 5, blocked(), "all the others were served while these still waited")
	eventually(t, func() bool { return read(t, s, "free").Quantity() == 30 }) // the short reservation is over
	require.NoError(t, console.Commit().Error)
	waiting.Wait()
	eventually(t, func() bool { return read(t, s, "locked").Quantity() == 45 })
}
