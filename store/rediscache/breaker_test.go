package rediscache

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

const eventuallyTick = 20 * time.Millisecond

// freezeTimeout is the production limit: these tests ask how soon.
const freezeTimeout = timeoutDefault

func TestBreakerOpensOnAFrozenRedisAndClosesAgain(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), Config{Timeout: freezeTimeout})
	apply := func(version int64) error {
		return c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, version)})
	}
	require.Eventually(t, func() bool { return apply(1) == nil }, generous, eventuallyTick)
	require.True(t, c.Healthy())

	require.NoError(t, server.Freeze())
	began := time.Now()
	for range failuresMax {
		_, err := c.Get(t.Context(), epoch, []string{"p"})
		require.ErrorIs(t, err, ErrDown)
	}
	require.Less(t, time.Since(began), 5*time.Second)
	require.False(t, c.Healthy())

	trips := c.Stats().RoundTrips
	for range 1000 {
		require.ErrorIs(t, apply(2), ErrDown)
	}
	// Perhaps a second has passed on a busy machine, and one call tried again.
	require.LessOrEqual(t, c.Stats().RoundTrips, trips+2)

	require.NoError(t, server.Thaw())
	require.Eventually(t, func() bool { return apply(2) == nil && c.Healthy() }, generous, eventuallyTick)
	require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
}

func TestBreakerOpensOnAKilledRedisAndServesItsSuccessor(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	var back atomic.Int64
	c := newCache(t, server.URL(), Config{Timeout: generous, OnRecovered: func() { back.Add(1) }})
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}))
	require.NoError(t, server.Kill())
	for range failuresMax {
		require.ErrorIs(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}), ErrDown)
	}
	require.False(t, c.Healthy())
	require.Zero(t, back.Load())
	require.NoError(t, server.Start())
	require.Eventually(t, func() bool {
		entries, err := c.Get(t.Context(), epoch, []string{"p"})
		return err == nil && !entries[0].Known
	}, generous, eventuallyTick, "it came back empty")
	require.EqualValues(t, 1, back.Load())
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
	require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
}

func TestCallersWhoLeaveDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), Config{Timeout: generous})
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}))
	require.NoError(t, server.Freeze())
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * failuresMax {
		_, err := c.Get(gone, epoch, []string{"p"})
		require.ErrorIs(t, err, context.Canceled)
		hurried, cancel := context.WithTimeout(t.Context(), eventuallyTick)
		_, err = c.Get(hurried, epoch, []string{"p"})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.True(t, c.Healthy())
	require.Zero(t, c.Stats().Failures)
	require.NoError(t, server.Thaw())
	require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))
}

func TestFlushAllIsOnlyManyMisses(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c, raw := newCache(t, server.URL(), Config{Timeout: generous}), rawClient(t, server.URL())
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 7)}))
	require.NoError(t, raw.FlushAll(t.Context()).Err())
	require.EqualValues(t, -1, versionOf(t, c, epoch, "p"))
	behind, err := c.Unpublished(t.Context(), []models.Change{{ProductID: "p", Version: 7}}, epoch)
	require.NoError(t, err)
	require.Equal(t, []string{"p"}, behind)
	require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 7)}, nil))
	require.EqualValues(t, 7, versionOf(t, c, epoch, "p"))
}
