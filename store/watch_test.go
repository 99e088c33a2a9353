package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// A watcher gets the current stock first and then what is committed, and
// versions only grow.
func TestWatchStock(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x", "y")
		watch, err := s.WatchStock(t.Context(), []string{"x", "y", "unknown"})
		require.NoError(t, err)
		defer watch.Close()
		first := map[string]int{}
		for range 2 {
			stock, err := watch.Next(t.Context())
			require.NoError(t, err)
			first[stock.ProductID] = stock.Quantity()
		}
		require.Equal(t, map[string]int{"x": 5, "y": 5}, first)
		last := int64(0)
		for i := range 20 {
			write(t, s, receive(fmt.Sprint("k", i), "x", 1))
			stock := awaitStock(t, watch, func(st *models.Stock) bool { return st.ProductID == "x" && st.Quantity() == 6+i })
			require.Greater(t, stock.Version, last)
			last = stock.Version
		}
	})
}

// What one copy of the server writes, the watchers of another see.
func TestWatchAcrossCopies(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	watch, err := two.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	held := write(t, one, hold("k", "x", 2, time.Hour)).Reservation
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 3 })

	reservation, err := two.WatchReservation(t.Context(), held.ID)
	require.NoError(t, err)
	defer reservation.Close()
	first, err := reservation.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, models.ReservationActive, first.State)
	write(t, one, models.Resolve{IdempotencyKey: "c", ID: held.ID, To: models.ReservationCommitted})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // sooner than the repair that reads unasked
	defer cancel()
	next, err := reservation.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, models.ReservationCommitted, next.State)
}

// A change that somebody makes in the database by hand reaches watchers and
// Redis all the same.
func TestOutsideWrite(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	watch, err := s.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 5 })
	db := outside(t, config.DatabaseURL)
	var slowest time.Duration
	for n := range 20 {
		began := time.Now()
		require.NoError(t, db.Exec("UPDATE stock_levels SET available = ? WHERE product_id = 'x'", 100+n).Error)
		awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 100+n })
		slowest = max(slowest, time.Since(began))
		require.Equal(t, 100+n, read(t, s, "x").Quantity())
	}
	t.Logf("outside write to watcher: slowest of 20 took %s", slowest)
	require.Less(t, slowest, 5*time.Second)
}

// A server that dies between its commit and telling Redis: another copy's
// relay tells it, from the outbox.
func TestCrashBetweenCommitAndPublish(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	survivor := open(t, config)
	stockUp(t, survivor, 5, "x")
	watch, err := survivor.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 5 })

	dying := open(t, config)
	quiet(t, dying) // its relay dies with it
	_, err = dying.database.Write(t.Context(), []models.Write{receive("k", "x", 2)})
	require.NoError(t, err) // committed, and nobody is told
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 7 })
	require.Equal(t, 7, read(t, survivor, "x").Quantity())
}
