package rediscache

import (
	"context"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

func TestANewVersionRemovesAbsentFields(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		title := "Mug"
		titled := stockAt("p", epoch, 1)
		titled.Title = &title
		require.NoError(t, fill(t, c, epoch, []*models.Stock{titled}, nil))
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
		entries, err := c.Get(t.Context(), epoch, []string{"p"})
		require.NoError(t, err)
		require.Equal(t, stockAt("p", epoch, 2), entries[0].Stock)
	})
}

func TestInvalidHashesAreMissesAndAreReplaced(t *testing.T) {
	corruptions := map[string]func(ctx context.Context, raw *redis.Client, key string) error{
		"another type": func(ctx context.Context, raw *redis.Client, key string) error { return raw.Set(ctx, key, "x", 0).Err() },
		"no levels": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "levels").Err()
		},
		"levels garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "levels", "[{").Err()
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
		"no as_of": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "as_of").Err()
		},
		"tracked garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "tracked", "yes").Err()
		},
		"no policy": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HDel(ctx, key, "inventory_policy").Err()
		},
		"restock garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "next_restock_at", "soon").Err()
		},
		"limit garbled": func(ctx context.Context, raw *redis.Client, key string) error {
			return raw.HSet(ctx, key, "backorder_limit", "").Err()
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
