package store

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/rediscache"
	"onhand/store/storetest"
)

// foreignAuditInterval lets the audit find within the test's time what no one reads
// or writes.
const foreignAuditInterval = 20 * time.Millisecond

// foreignVersion is a version far ahead that a reader believes.
const foreignVersion = 4711

// onEachAndCluster is onEach with a Redis Cluster too. others is a second instance,
// where there may be one.
func onEachAndCluster(t *testing.T, test func(t *testing.T, s, other *Store)) {
	t.Helper()
	t.Parallel()
	cluster := composition{"postgres and cluster", func(t *testing.T) Config {
		url, _ := storetest.RedisCluster(t)
		return Config{DatabaseURL: storetest.Postgres(t), RedisURL: url}
	}}
	for _, c := range append([]composition{cluster}, compositions...) {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			config := c.make(t)
			config.RedisTimeout, config.AuditInterval = redisPatience, foreignAuditInterval
			s := open(t, config)
			other := s
			if config.RedisURL != "" {
				other = open(t, config)
			}
			test(t, s, other)
		})
	}
}

// forged makes the hash of a product as this program would write it, with other
// units and another version.
func forged(stock *models.Stock, quantity int, version int64, epoch string) []any {
	other := *stock
	other.Version, other.Epoch = version, epoch
	other.Levels = []models.Level{{ProductID: stock.ProductID, LocationID: "a", Active: true, Priority: 1, Quantities: models.Quantities{Available: quantity}}}
	f := stockbinary.Encode(&other)
	return []any{"quantity", f.Quantity, "stock", f.Stock, "version", f.Version, "epoch", f.Epoch, "published", f.Version}
}

// foreignWrites are what other programs have done to a product's key.
var foreignWrites = map[string]func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error{
	"another type": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.Set(ctx, key, "5", 0).Err()
	},
	"garbage": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "stock", "\x01[{\xff", "levels", "[]").Err()
	},
	"a foreign epoch": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, 999, "lost")...).Err()
	},
	"a lone quantity": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return firstOf(raw.Del(ctx, key).Err(), raw.HSet(ctx, key, "quantity", 77).Err())
	},
	"the naive pattern": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, "product_id", stock.ProductID, "quantity", 77, "version", stock.Version+1).Err()
	},
	"the naive pattern, far ahead": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, "product_id", stock.ProductID, "quantity", 77, "version", foreignVersion).Err()
	},
	"a decrement": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return firstOf(raw.HIncrBy(ctx, key, "quantity", -1).Err(), raw.HIncrBy(ctx, key, "version", 1).Err())
	},
	"a deletion": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.Del(ctx, key).Err()
	},
	"a version ahead": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "version", foreignVersion).Err()
	},
	"other stock ahead": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, foreignVersion, stock.Epoch)...).Err()
	},
	"other stock of the same version": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, stock.Version, stock.Epoch)...).Err()
	},
	"other stock, without a time to live": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return firstOf(raw.HSet(ctx, key, forged(stock, 77, foreignVersion, stock.Epoch)...).Err(), raw.Persist(ctx, key).Err())
	},
	"no such product, ahead": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "missing", 1, "version", foreignVersion).Err()
	},
	"the last version": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "quantity", 77, "version", rediscache.HashVersionMax).Err()
	},
	"a version beyond 2^53": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, 1<<53+1, stock.Epoch)...).Err()
	},
	"a version of milliseconds": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), stock.Epoch)...).Err()
	},
	"a negative version": func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error {
		return raw.HSet(ctx, key, forged(stock, 77, -7, stock.Epoch)...).Err()
	},
	"a version in words": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "quantity", 77, "version", "seven").Err()
	},
	"an infinite version": func(ctx context.Context, raw redis.UniversalClient, key string, _ *models.Stock) error {
		return raw.HSet(ctx, key, "quantity", 77, "version", "inf").Err()
	},
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// requireRight waits until Redis has the product as the database has it.
func requireRight(t *testing.T, s *Store, id, what string) *models.Stock {
	t.Helper()
	var stock *models.Stock
	var found rediscache.Inspection
	require.Eventually(t, func() bool {
		inspected, err := s.cache.Inspect(t.Context(), []string{id})
		reading, readErr := s.database.ReadStocks(t.Context(), []string{id})
		if err != nil || readErr != nil || len(reading.Stocks) != 1 {
			return false
		}
		found, stock = inspected[0], reading.Stocks[0]
		return found.Stock != nil && found.Epoch == stock.Epoch && found.Version == stock.Version && found.Stock.Quantity() == stock.Quantity()
	}, patience, 5*time.Millisecond, "%s: %+v", what, &found)
	return stock
}

// requireDrained waits until the relay has applied every change. It would replace what
// is found at a product's key.
func requireDrained(t *testing.T, s *Store) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, rows, err := s.database.OutboxBacklog(t.Context())
		return err == nil && rows == 0
	}, patience, 5*time.Millisecond)
}

// Whatever another program writes at a product's key, and what readers have seen by
// then: after the next change readers and subscribers have what the database has,
// and no version went back for a subscriber.
func TestForeignWritesAndAChange(t *testing.T) {
	onEachAndCluster(t, func(t *testing.T, s, other *Store) {
		for name, write := range foreignWrites {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				foreignWriteAndChange(t, s, other, strings.ReplaceAll(name, " ", "-"), write)
			})
		}
	})
}

func foreignWriteAndChange(t *testing.T, s, other *Store, id string,
	tamper func(ctx context.Context, raw redis.UniversalClient, key string, stock *models.Stock) error,
) {
	stockUp(t, s, 5, id)
	before := requireRight(t, s, id, "at first")
	watch, err := other.WatchStock(t.Context(), []string{id})
	require.NoError(t, err)
	defer watch.Close()
	raw := administrator(t, s)
	require.NoError(t, tamper(t.Context(), raw, s.cache.Keys().Stock(id), before))
	other.hub.Refresh() // it may read what was written there
	seen := int64(0)
	for key := range 3 {
		write(t, s, receive(fmt.Sprint(id, key), id, 1))
		awaitStock(t, watch, func(stock *models.Stock) bool {
			require.Greater(t, stock.Version, seen, "no version goes back")
			seen = stock.Version
			return stock.Quantity() == 6+key
		})
	}
	stock := requireRight(t, s, id, "after a change")
	require.Equal(t, 8, stock.Quantity())
	require.Equal(t, 8, read(t, other, id).Quantity())
	eventually(t, func() bool { return raw.PTTL(t.Context(), s.cache.Keys().Stock(id)).Val() > 0 })
}

// Without any change the audit finds what readers would believe, and repairs it.
// Subscribers that have seen it get what is true as a newer version.
func TestForeignWritesAreFoundByTheAudit(t *testing.T) {
	onEachAndCluster(t, func(t *testing.T, s, other *Store) {
		believed := []string{"a version ahead", "other stock ahead", "other stock of the same version", "no such product, ahead", "the naive pattern, far ahead"}
		for n, name := range believed {
			id := fmt.Sprint("p", n)
			stockUp(t, s, 5, id)
			before := requireRight(t, s, id, "at first")
			requireDrained(t, s)
			watch, err := other.WatchStock(t.Context(), []string{id})
			require.NoError(t, err)
			require.NoError(t, foreignWrites[name](t.Context(), administrator(t, s), s.cache.Keys().Stock(id), before))
			stock := requireRight(t, s, id, name)
			require.Equal(t, 5, stock.Quantity(), name)
			if strings.Contains(name, "ahead") {
				require.Greater(t, stock.Version, int64(foreignVersion), name)
			}
			awaitStock(t, watch, func(got *models.Stock) bool { return got.Version >= stock.Version && got.Quantity() == 5 })
			watch.Close()
		}
		eventually(t, func() bool {
			repairs := 0.0
			for _, instance := range []*Store{s, other} {
				repairs += measured(t, instance)["onhand_redis_repairs_total"]
			}
			return repairs >= float64(len(believed))
		})
	})
}

// The commits of two instances reach Redis in reverse order. The newer one stays,
// and nothing is repaired, although the older one was refused.
func TestCommitsInReverseOrder(t *testing.T) {
	onEachAndCluster(t, func(t *testing.T, s, other *Store) {
		stockUp(t, s, 5, "x", "sentinel")
		before := requireRight(t, s, "x", "at first")
		watch, err := other.WatchStock(t.Context(), []string{"x"})
		require.NoError(t, err)
		defer watch.Close()
		for round := range 5 {
			first, err := s.database.WriteUnderLock(t.Context(), []models.Write{receive(fmt.Sprint("one", round), "x", 1)})
			require.NoError(t, err)
			second, err := other.database.WriteUnderLock(t.Context(), []models.Write{receive(fmt.Sprint("two", round), "x", 1)})
			require.NoError(t, err)
			require.NoError(t, other.cache.Apply(t.Context(), second.Stocks))
			require.NoError(t, s.cache.Apply(t.Context(), first.Stocks))
			s.hub.Deliver(second.Stocks)
			s.hub.Deliver(first.Stocks)
			require.Equal(t, fmt.Sprint(second.Stocks[0].Version), s.clients[0].HGet(t.Context(), s.cache.Keys().Stock("x"), "version").Val())
		}
		// What is seen later is repaired later: then the others were dealt with.
		s.seenAhead("sentinel", s.epoch.Epoch(), foreignVersion)
		eventually(t, func() bool { return read(t, s, "sentinel").Version == foreignVersion+1 })
		stock := requireRight(t, s, "x", "in the end")
		require.Equal(t, 15, stock.Quantity())
		require.Equal(t, before.Version+10, stock.Version)
		require.EqualValues(t, 1, measured(t, s)["onhand_audit_differences_total{redis_ahead}"], "the sentinel")
		awaitStock(t, watch, func(got *models.Stock) bool { return got.Version == stock.Version })
	})
}
