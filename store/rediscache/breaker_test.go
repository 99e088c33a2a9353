package rediscache

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// eventuallyTick is how often a condition without an event is checked.
const eventuallyTick = 20 * time.Millisecond

// freezeTimeout is the production limit, for tests that measure time.
const freezeTimeout = timeoutDefault

func TestBreakerOpensOnAFrozenRedisAndClosesAgain(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), CacheConfig{Timeout: freezeTimeout})
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
	// On a busy machine a second may have passed, and a call tried Redis again.
	require.LessOrEqual(t, c.Stats().RoundTrips, trips+2)

	require.NoError(t, server.Thaw())
	require.Eventually(t, func() bool { return apply(2) == nil && c.Healthy() }, generous, eventuallyTick)
	require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
}

func TestBreakerWithARestartedRedis(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	var recoveries atomic.Int64
	c := newCache(t, server.URL(), CacheConfig{Timeout: generous, OnRecovered: func() { recoveries.Add(1) }})
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}))
	require.NoError(t, server.Kill())
	for range failuresMax {
		require.ErrorIs(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}), ErrDown)
	}
	require.False(t, c.Healthy())
	require.Zero(t, recoveries.Load())
	require.NoError(t, server.Start())
	require.Eventually(t, func() bool {
		entries, err := c.Get(t.Context(), epoch, []string{"p"})
		return err == nil && !entries[0].Known
	}, generous, eventuallyTick, "it is empty after the restart")
	require.EqualValues(t, 1, recoveries.Load())
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
	require.EqualValues(t, 2, versionOf(t, c, epoch, "p"))
}

func TestCancelledCallsDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), CacheConfig{Timeout: generous})
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}))
	require.NoError(t, server.Freeze())
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 * failuresMax {
		_, err := c.Get(cancelled, epoch, []string{"p"})
		require.ErrorIs(t, err, context.Canceled)
		short, cancel := context.WithTimeout(t.Context(), eventuallyTick)
		_, err = c.Get(short, epoch, []string{"p"})
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.True(t, c.Healthy())
	require.Zero(t, c.Stats().Failures)
	require.NoError(t, server.Thaw())
	require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))
}

func TestFlushAllMakesMisses(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c, raw := newCache(t, server.URL(), CacheConfig{Timeout: generous}), rawClient(t, server.URL())
	require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 7)}))
	require.NoError(t, raw.FlushAll(t.Context()).Err())
	require.EqualValues(t, -1, versionOf(t, c, epoch, "p"))
	unpublished, err := c.Unpublished(t.Context(), []models.Change{{ProductID: "p", Version: 7}}, epoch)
	require.NoError(t, err)
	require.Equal(t, []string{"p"}, unpublished)
	require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 7)}, nil))
	require.EqualValues(t, 7, versionOf(t, c, epoch, "p"))
}

// TestSilentRedis: a Redis that accepts connections and never answers costs a
// call the time limit, also with many concurrent calls. Then the breaker is open
// and calls return at once. This holds for every kind of client.
func TestSilentRedis(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{"one": "redis://HOST", "cluster": "redis://HOST,HOST", "sentinel": "redis://HOST?master=m"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			reader, writer, err := NewClients(strings.ReplaceAll(url, "HOST", storetest.Silent(t)), 0)
			require.NoError(t, err)
			t.Cleanup(func() { assert.NoError(t, reader.Close()); assert.NoError(t, writer.Close()) })
			c := New(CacheConfig{Reader: reader, Writer: writer})
			const callers, slack = 8, 700 * time.Millisecond // less than a dial may take
			began := time.Now()
			var group sync.WaitGroup
			for range callers {
				group.Go(func() {
					_, err := c.Get(t.Context(), epoch, []string{"p"})
					assert.ErrorIs(t, err, ErrDown)
				})
				group.Go(func() {
					assert.ErrorIs(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}), ErrDown)
				})
				group.Go(func() {
					_, err := c.Watermark(t.Context())
					assert.ErrorIs(t, err, ErrDown)
				})
			}
			group.Wait()
			took := time.Since(began)
			assert.Less(t, took, timeoutDefault+slack)
			assert.False(t, c.Healthy())
		})
	}
}

// TestClientsWaitAsLongAsTheCache: clients wait as long as CacheConfig.Timeout, even
// where it is longer than their default.
func TestClientsWaitAsLongAsTheCache(t *testing.T) {
	t.Parallel()
	const timeout = 3 * readTimeout
	reader, writer, err := NewClients("redis://"+storetest.Silent(t), timeout)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, reader.Close()); assert.NoError(t, writer.Close()) })
	c := New(CacheConfig{Reader: reader, Writer: writer, Timeout: timeout})
	for name, ask := range map[string]func() error{
		"read":  func() error { _, err := c.Get(t.Context(), epoch, []string{"p"}); return err },
		"write": func() error { return c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 1)}) },
	} {
		began := time.Now()
		require.ErrorIs(t, ask(), ErrDown, name)
		require.GreaterOrEqual(t, time.Since(began), timeout, name)
	}
}
