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

// A subscriber gets the current stock first and then each commit, and versions only
// grow.
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

// What one instance commits reaches the subscribers of another.
func TestWatchAcrossInstances(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	watch, err := two.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	reserved := write(t, one, reserve("k", "x", 2, time.Hour)).Reservation
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 3 })

	reservation, err := two.WatchReservation(t.Context(), reserved.ID)
	require.NoError(t, err)
	defer reservation.Close()
	first, err := reservation.Next(t.Context())
	require.NoError(t, err)
	require.Equal(t, models.ReservationActive, first.State)
	write(t, one, models.Resolve{IdempotencyKey: "c", ID: reserved.ID, To: models.ReservationCommitted})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second) // sooner than the repair, which reads again every five seconds
	defer cancel()
	next, err := reservation.Next(ctx)
	require.NoError(t, err)
	require.Equal(t, models.ReservationCommitted, next.State)
}

// A change that an administrator makes in the database reaches subscribers and
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

// An instance dies between its commit and its publishing. The relay of another
// instance publishes the change, from the outbox.
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
	_, err = dying.database.WriteUnderLock(t.Context(), []models.Write{receive("k", "x", 2)})
	require.NoError(t, err) // committed, and not published
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 7 })
	require.Equal(t, 7, read(t, survivor, "x").Quantity())
}

// The ledger wakes its followers: with a write of this instance, and when the
// sweeper ends a reservation.
func TestWatchMovements(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x", "y")
		movements, err := s.WatchMovements(t.Context(), "", models.MovementFilter{})
		require.NoError(t, err)
		defer movements.Close()
		statuses, err := s.WatchStatus(t.Context(), "", nil, []string{"y"})
		require.NoError(t, err)
		defer statuses.Close()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		write(t, s, receive("1", "x", 2))
		write(t, s, reserve("2", "y", 5, time.Second))
		for _, want := range []models.Reason{models.ReasonReceived, models.ReasonReserved, models.ReasonExpired} {
			movement, err := movements.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, want, movement.Reason)
		}
		for _, want := range []models.StockStatus{models.OutOfStock, models.LowStock} {
			change, err := statuses.Next(ctx)
			require.NoError(t, err)
			require.Equal(t, want, change.Status)
		}
	})
}

// A store that closes ends the followers of its ledger.
func TestCloseEndsFollowers(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:"})
	watch, err := s.WatchMovements(t.Context(), "", models.MovementFilter{})
	require.NoError(t, err)
	ended := make(chan error)
	go func() { _, err := watch.Next(context.Background()); ended <- err }()
	s.Close()
	require.Error(t, <-ended)
}
