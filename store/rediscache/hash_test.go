package rediscache

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
)

// A write leaves no field of an older kind of hash behind: it is the hash of a new
// product.
func TestAWriteLeavesNoOtherFields(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		names := func(id string) []string {
			keys := raw.HKeys(t.Context(), c.keys.Stock(id)).Val()
			slices.Sort(keys)
			return keys
		}
		apply := func(s *models.Stock) { require.NoError(t, c.Apply(t.Context(), []*models.Stock{s})) }
		applied := []string{"epoch", "product_id", "published", "quantity", "stock", "version"}
		filled := []string{"epoch", "product_id", "quantity", "stock", "version"}
		negative := []string{"epoch", "missing", "product_id", "version"}
		apply(stockAt("p", epoch, 1))
		require.Equal(t, applied, names("p"))
		require.NoError(t, c.ApplyDeletions(t.Context(), epoch, []models.Change{{ProductID: "p", Version: 2}}))
		require.Equal(t, negative, names("p"))
		apply(stockAt("p", epoch, 3))
		require.Equal(t, applied, names("p"))
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 4)}, nil))
		require.Equal(t, filled, names("p"))
		require.NoError(t, c.ApplyDeletions(t.Context(), epoch, []models.Change{{ProductID: "p", Version: 5}}))
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("p", epoch, 6)}, nil))
		require.Equal(t, filled, names("p"))
		require.NoError(t, fill(t, c, "later", nil, []string{"p"}))
		require.Equal(t, negative, names("p"))
		_, err := c.Lease(t.Context(), []string{"p"})
		require.NoError(t, err)
		apply(stockAt("p", "later", 7))
		require.Equal(t, applied, names("p"), "the lease is used up")
	})
}

func TestInvalidHashesAreMissesAndAreReplaced(t *testing.T) {
	corruptions := map[string]func(ctx context.Context, raw *redis.Client, key string) error{
		"another type": func(ctx context.Context, raw *redis.Client, key string) error { return raw.Set(ctx, key, "x", 0).Err() },
		"no stock": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "stock").Err()
		},
		"stock garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "stock", "\x01{").Err()
		},
		"stock cut short": func(ctx context.Context, raw *redis.Client, key string) error {
			form := raw.HGet(ctx, key, "stock").Val()
			return raw.HSet(ctx, key, "stock", form[:len(form)-1]).Err()
		},
		"another format": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "stock", "\x02"+raw.HGet(ctx, key, "stock").Val()[1:]).Err()
		},
		"stock of an older version": func(ctx context.Context, raw *redis.Client, key string) error {
			s := stockAt(strings.TrimPrefix(key, "test:inventory:"), epoch, 3)
			return raw.HSet(ctx, key, "stock", stockbinary.Encode(s).Stock).Err()
		},
		"stock of another product": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "stock", stockbinary.Encode(stockAt("q", epoch, 4)).Stock).Err()
		},
		"no version": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "version").Err()
		},
		"version garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "version", "seven").Err()
		},
		"no epoch": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "epoch").Err()
		},
		"another product": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "product_id", "q").Err()
		},
		"version altered": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "version", 3).Err()
		},
		"no quantity": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "quantity").Err()
		},
		"quantity altered": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "quantity", 99).Err()
		},
	}
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		for name, corrupt := range corruptions {
			key := c.keys.Stock(name)
			require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt(name, epoch, 4)}, nil))
			require.EqualValues(t, 4, versionOf(t, c, epoch, name))
			require.NoError(t, corrupt(t.Context(), raw, key))
			require.EqualValues(t, -1, versionOf(t, c, epoch, name), name)
			require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt(name, epoch, 4)}, nil), name)
			require.EqualValues(t, 4, versionOf(t, c, epoch, name), name)
		}
		require.True(t, c.Healthy())
	})
}
