package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3/driver"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/poison"
	"onhand/store/storetest"
)

// nearBound is how much older than Redis an answer may be; see docs/caching.md.
const nearBound = time.Second

// requireNear skips a test of the near cache in a run without it.
func requireNear(t *testing.T) {
	t.Helper()
	if storetest.NearCacheBytes(t) == 0 {
		t.Skip("NEAR_CACHE_BYTES is 0")
	}
}

// inNear reads a product until the near cache answers.
func inNear(t *testing.T, s *Store, id string) (stock *models.Stock) {
	t.Helper()
	eventually(t, func() bool { stock = read(t, s, id); return stock.Source == models.FromNearCache })
	return stock
}

// A product that is read again is answered by the near cache. Its changes by this
// instance are there with their answer.
func TestNearCache(t *testing.T) {
	requireNear(t)
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		require.Equal(t, 5, inNear(t, s, "x").Quantity())
		for i := range 20 {
			write(t, s, receive(fmt.Sprint(i), "x", 1))
			stock := read(t, s, "x")
			require.Equal(t, 6+i, stock.Quantity(), stock.Source)
		}
		require.Equal(t, models.FromNearCache, read(t, s, "x").Source, "the entry was replaced, not dropped")
		shared, err := s.SharedStock(t.Context(), "x")
		require.NoError(t, err)
		require.Equal(t, models.FromCache, shared.Source)
		shared, err = s.SharedStock(t.Context(), "unknown")
		require.NoError(t, err)
		require.Nil(t, shared)
		m := measured(t, s)
		for _, name := range []string{"hits_total", "misses_total", "fills_total", "connections_total", "entries", "bytes", "fresh"} {
			require.Positive(t, m["onhand_near_cache_"+name], name)
		}
		require.Contains(t, m, "onhand_near_cache_drops_total{evicted}")
	})
}

// Without memory there is no near cache.
func TestNearCacheOff(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:", NearCacheBytes: -1})
	stockUp(t, s, 5, "x")
	eventually(t, func() bool { return cached(read(t, s, "x")) })
	for range 10 {
		require.NotEqual(t, models.FromNearCache, read(t, s, "x").Source)
	}
	require.Zero(t, measured(t, s)["onhand_near_cache_connections_total"])
}

// What another instance commits, and what an administrator changes, is answered within
// the bound from the moment that Redis has it.
func TestNearCacheOfAnotherInstance(t *testing.T) {
	requireNear(t)
	onEachAndCluster(t, func(t *testing.T, s, other *Store) {
		stockUp(t, s, 5, "x")
		inNear(t, other, "x")
		for i := range 30 {
			write(t, s, receive(fmt.Sprint(i), "x", 1))
			began := time.Now()
			eventually(t, func() bool { return read(t, other, "x").Quantity() == 6+i })
			require.Less(t, time.Since(began), nearBound)
		}
		require.Equal(t, models.FromNearCache, inNear(t, other, "x").Source)
		require.EqualValues(t, 0, measured(t, other)["onhand_near_cache_drops_total{disconnected}"])
	})
}

// A subscriber that reads again because of a value finds no older one.
func TestNearCacheAfterAWatch(t *testing.T) {
	requireNear(t)
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	inNear(t, two, "x")
	watch, err := two.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	for i := range 50 {
		write(t, one, receive(fmt.Sprint(i), "x", 1))
		awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 6+i })
		require.GreaterOrEqual(t, read(t, two, "x").Quantity(), 6+i)
	}
}

// A Redis that hangs has not answered a ping: after the bound no answer is of the near
// cache. When Redis answers again, it is used again.
func TestNearCacheOfAFrozenRedis(t *testing.T) {
	requireNear(t)
	t.Parallel()
	redis := storetest.Redis(t)
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL()}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	inNear(t, one, "x")
	inNear(t, two, "x")
	require.NoError(t, redis.Freeze())
	write(t, one, receive("1", "x", 1))
	written := time.Now()
	require.Equal(t, 6, read(t, one, "x").Quantity(), "Redis missed the commit; the entry was dropped")
	eventually(t, func() bool { return read(t, two, "x").Quantity() == 6 })
	require.Less(t, time.Since(written), nearBound+2*time.Second, "the reader waits for Redis a few times")
	require.NoError(t, redis.Thaw())
	require.Equal(t, 6, inNear(t, two, "x").Quantity())
	require.Equal(t, 6, inNear(t, one, "x").Quantity())
}

// A product whose row cannot be read any more leaves the near cache: the relay removes it
// from Redis and says so with a message.
func TestNearCacheOfAPoisonRow(t *testing.T) {
	requireNear(t)
	t.Parallel()
	path := filepath.Join(t.TempDir(), "shop.db")
	s := open(t, Config{DatabaseURL: "sqlite:" + path})
	stockUp(t, s, 5, "x", "y")
	inNear(t, s, "x")
	raw, err := driver.Open("file:" + path + "?_pragma=busy_timeout(10000)&_pragma=ignore_check_constraints(on)")
	require.NoError(t, err)
	defer raw.Close()
	_, err = raw.Exec("UPDATE products SET tracked = 'perhaps' WHERE product_id = 'x'")
	require.NoError(t, err)
	eventually(t, func() bool {
		_, err := s.Stocks(t.Context(), []string{"y", "x"})
		var unreadable *poison.RowsError
		return errors.As(err, &unreadable)
	})
	_, err = raw.Exec("UPDATE products SET tracked = 1 WHERE product_id = 'x'")
	require.NoError(t, err)
	eventually(t, func() bool {
		stocks, err := s.Stocks(t.Context(), []string{"x"})
		return err == nil && stocks[0] != nil
	})
	require.Equal(t, 5, inNear(t, s, "x").Quantity())
}

// The bound holds while feeds are lost all the time: no answer is older than what Redis
// had a second before it was asked for.
func TestNearCacheBound(t *testing.T) {
	requireNear(t)
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL()}
	one, two := open(t, config), open(t, config)
	stockUp(t, one, 5, "x")
	inNear(t, two, "x")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var seen atomic.Int64 // the version that Redis had a bound ago
	go func() {
		for ctx.Err() == nil {
			version, err := two.clients[0].HGet(ctx, two.cache.Keys().Stock("x"), "version").Int64()
			if err == nil {
				time.AfterFunc(nearBound, func() { seen.Store(max(seen.Load(), version)) })
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	near := 0
	for i := 0; i < 400 || near == 0; i++ {
		if i%3 == 0 {
			write(t, one, receive(fmt.Sprint(i), "x", 1))
		}
		if i%40 == 20 {
			require.NoError(t, administrator(t, two).Do(ctx, "client", "kill", "type", "pubsub").Err())
		}
		least := seen.Load()
		stock := read(t, two, "x")
		require.GreaterOrEqual(t, stock.Version, least, stock.Source)
		if stock.Source == models.FromNearCache {
			near++
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Logf("%d of 400 answers were of the near cache", near)
	cancel()
}
