package store

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models/operations"
)

// Operations show what the instance did and what the database has.
func TestOperations(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ask := func() *operations.OperationsSnapshot {
			found, err := s.Operations(t.Context())
			require.NoError(t, err)
			return found
		}
		stockUp(t, s, 10, "p", "q")
		before := ask()
		for i := range 3 {
			write(t, s, reserve(fmt.Sprint(i), "p", 1, time.Hour))
		}
		write(t, s, reserve("too many", "p", 100, time.Hour))
		watch, err := s.WatchStock(t.Context(), []string{"p", "q"})
		require.NoError(t, err)
		defer watch.Close()
		_, err = s.Stocks(t.Context(), []string{"p", "q"})
		require.NoError(t, err)
		eventually(t, func() bool {
			now := ask()
			return now.Instance.ReservationsPerSecond > 0 && now.Instance.TransactionsPerSecond > 0 && now.Shared.ActiveReservations != nil && *now.Shared.ActiveReservations == 3 &&
				now.Instance.Audit.ProductsCompared > 0 && now.Instance.Audit.LastPassEndedAt != nil
		})
		now := ask()
		require.EqualValues(t, 3, now.Instance.Writes-before.Instance.Writes, "a refused write is none")
		require.GreaterOrEqual(t, now.Instance.WritesPerSecond, now.Instance.ReservationsPerSecond)
		require.Equal(t, 1, now.Instance.Watches)
		require.Equal(t, 2, now.Instance.WatchedProducts)
		require.Empty(t, now.Instance.Audit.Differences)
		require.True(t, now.Shared.Database.Up)
		require.True(t, now.Shared.Redis.Up)
		require.Equal(t, s.embedded != nil, now.Shared.Redis.Embedded)
		require.NotNil(t, now.Shared.Database.RoundTripMs)
		require.Equal(t, 2, *now.Shared.Products)
		require.LessOrEqual(t, *now.Shared.OutboxLength, 2)
	})
}

// However many ask at the same time, the database is asked once a second.
func TestOperationsAreCheap(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:"})
	var asking sync.WaitGroup
	var readings sync.Map
	began := time.Now()
	for range 20 {
		asking.Go(func() {
			for range 50 {
				if _, err := s.Operations(t.Context()); err != nil {
					t.Error(err)
				}
				readings.Store(s.operations.shared.Load().at, true)
			}
		})
	}
	asking.Wait()
	n := 0
	readings.Range(func(any, any) bool { n++; return true })
	require.LessOrEqual(t, n, 2+int(time.Since(began)/sharedAge))
}

// Without a database the counts are missing, and the rest is there.
func TestOperationsWithoutADatabase(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(t, s.database.Close())
	s.operations.shared.Store(nil)
	found, err := s.Operations(t.Context())
	require.NoError(t, err)
	require.False(t, found.Shared.Database.Up)
	require.Nil(t, found.Shared.ActiveReservations)
	require.Nil(t, found.Shared.Products)
	require.False(t, s.IsDemo())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	s.operations.shared.Store(nil)
	_, err = s.Operations(ended)
	require.ErrorIs(t, err, context.Canceled)
}
