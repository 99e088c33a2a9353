package rediscache

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"onhand/models"
	"onhand/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	epoch = "epoch-1"
	// generous bounds calls and waits of tests that do not measure time. The
	// machine may be busy.
	generous = 20 * time.Second
)

// onEvery runs a test against a real Redis and against the embedded one.
func onEvery(t *testing.T, test func(t *testing.T, c *Cache, raw *redis.Client)) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		url := storetest.Redis(t).URL()
		test(t, newCache(t, url, CacheConfig{Timeout: generous}), rawClient(t, url))
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		url := "redis://" + miniredis.RunT(t).Addr()
		test(t, newCache(t, url, CacheConfig{Timeout: generous}), rawClient(t, url))
	})
}

// newCache makes a cache with the clients of production, the account of an installation, a key prefix, and
// clients that wait as long as the cache.
func newCache(t *testing.T, url string, cfg CacheConfig) *Cache {
	t.Helper()
	options, err := parseURL(storetest.ServerAccount(url))
	require.NoError(t, err)
	options.ReadTimeout, options.WriteTimeout = max(readTimeout, cfg.Timeout), max(writeTimeout, cfg.Timeout)
	reader := newClient(options)
	options.MaxRetries = -1
	writer := newClient(options)
	t.Cleanup(func() { require.NoError(t, reader.Close()); require.NoError(t, writer.Close()) })
	cfg.Reader, cfg.Writer, cfg.KeyPrefix = reader, writer, "test:"
	return New(cfg)
}

func rawClient(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return client
}

// stockAt is a stock whose quantity equals its version, so that tests can see
// which version a value came from.
func stockAt(id, epoch string, version int64) *models.Stock {
	return &models.Stock{
		Product: models.Product{
			ProductID: id, Tracked: true, InventoryPolicy: models.Deny, LowStockThreshold: 3, Version: version,
		},
		Levels: []models.Level{{
			ProductID: id, LocationID: "north", Active: true, Priority: 1,
			Quantities: models.Quantities{Available: int(version), Reserved: 2},
		}},
		Epoch:  epoch,
		AsOf:   time.Date(2030, 1, 2, 3, 4, 5, 6000, time.UTC),
		Source: models.FromCache,
	}
}

// versionOf is what a reader gets: a version, 0 for a negative entry, -1 for a
// miss.
func versionOf(t *testing.T, c *Cache, epoch, id string) int64 {
	t.Helper()
	entries, err := c.Get(t.Context(), epoch, []string{id})
	require.NoError(t, err)
	require.Len(t, entries, 1)
	switch {
	case entries[0].Stock != nil:
		require.True(t, entries[0].Known)
		require.EqualValues(t, entries[0].Stock.Version, entries[0].Stock.Quantity())
		return entries[0].Stock.Version
	case entries[0].Known:
		return 0
	}
	return -1
}

// fill takes a lease and fills at once.
func fill(t *testing.T, c *Cache, epoch string, stocks []*models.Stock, unknown []string) error {
	t.Helper()
	ids := slices.Clone(unknown)
	for _, s := range stocks {
		if s != nil {
			ids = append(ids, s.ProductID)
		}
	}
	lease, err := c.Lease(t.Context(), ids)
	if err != nil {
		return err
	}
	return c.Fill(t.Context(), lease, epoch, stocks, unknown)
}

// subscribe subscribes to channels, which may be patterns. The returned function
// lists the payloads of all messages published before its call.
func subscribe(t *testing.T, raw *redis.Client, channels ...string) (published func() []string) {
	t.Helper()
	const fence = "test:fence"
	sub := raw.PSubscribe(t.Context(), append(channels, fence)...)
	t.Cleanup(func() { require.NoError(t, sub.Close()) })
	for range len(channels) + 1 {
		_, err := sub.Receive(t.Context())
		require.NoError(t, err)
	}
	var payloads []string
	return func() []string {
		require.NoError(t, raw.Publish(t.Context(), fence, "").Err())
		for {
			message, err := sub.ReceiveMessage(t.Context())
			require.NoError(t, err)
			if message.Channel == fence {
				return payloads
			}
			payloads = append(payloads, message.Payload)
		}
	}
}

// tripCounter counts what a client sends: pipelines and single commands alike.
type tripCounter struct{ trips atomic.Int64 }

func (h *tripCounter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *tripCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.trips.Add(1); return next(ctx, cmd) }
}

func (h *tripCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.trips.Add(1); return next(ctx, cmds) }
}

// countTrips counts the round trips of a cache from here on. It connects first,
// because a new connection takes round trips of its own.
func countTrips(t *testing.T, c *Cache) *tripCounter {
	t.Helper()
	require.NoError(t, c.reader.Ping(t.Context()).Err())
	require.NoError(t, c.writer.Ping(t.Context()).Err())
	h := &tripCounter{}
	c.reader.AddHook(h)
	c.writer.AddHook(h)
	return h
}

func ids(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("p%d", i)
	}
	return list
}
