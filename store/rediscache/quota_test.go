package rediscache

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models/quota"
)

// TestSpend: instances take from one bucket, which fills again and has a floor. What is
// no bucket counts as none.
func TestSpend(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		ctx, q := t.Context(), quota.Quota{Cost: 1000, Window: quota.WindowMax}
		spend := func(uses ...quota.Use) []quota.Balance {
			t.Helper()
			balances, err := c.Spend(ctx, uses)
			require.NoError(t, err)
			require.Len(t, balances, len(uses))
			return balances
		}
		first := spend(quota.Use{Bucket: "a", Quota: q, Cost: 300}, quota.Use{Bucket: "b", Quota: q, Cost: 1}, quota.Use{Bucket: "a", Quota: q, Cost: 300})
		for i, want := range []float64{700, 999, 400} {
			assert.InDelta(t, want, first[i].Left, 1)
		}
		assert.InDelta(t, 600, first[2].Used, 1e-9)
		debt := spend(quota.Use{Bucket: "a", Quota: q, Cost: 900}, quota.Use{Bucket: "a", Quota: q, Cost: 1000})
		assert.InDelta(t, -500, debt[0].Left, 1)
		assert.InDelta(t, -1000, debt[1].Left, 1, "the floor")
		left, err := raw.PTTL(ctx, c.keys.Quota("a")).Result()
		require.NoError(t, err)
		assert.InDelta(t, 2*quota.WindowMax, left, float64(time.Minute))

		fast := quota.Quota{Cost: 1_000_000, Window: time.Second}
		spend(quota.Use{Bucket: "fast", Quota: fast, Cost: 1_000_000})
		require.Eventually(t, func() bool {
			return spend(quota.Use{Bucket: "fast", Quota: fast})[0].Left > 100_000
		}, 5*time.Second, 20*time.Millisecond, "it fills")

		require.NoError(t, raw.Set(ctx, c.keys.Quota("text"), "x", 0).Err())
		require.NoError(t, raw.HSet(ctx, c.keys.Quota("odd"), "left", "x", "at", "y").Err())
		odd := spend(quota.Use{Bucket: "text", Quota: q, Cost: 10}, quota.Use{Bucket: "odd", Quota: q, Cost: 10})
		assert.InDelta(t, 990, odd[0].Left, 1)
		assert.InDelta(t, 990, odd[1].Left, 1)

		var many []quota.Use
		for _, id := range ids(2*ScriptsMax + 1) {
			many = append(many, quota.Use{Bucket: id, Quota: q, Cost: 1})
		}
		assert.Len(t, spend(many...), len(many))
	})
}

// TestSpendWithoutRedis: it fails fast.
func TestSpendWithoutRedis(t *testing.T) {
	t.Parallel()
	c := newCache(t, "redis://127.0.0.1:1", CacheConfig{})
	_, err := c.Spend(t.Context(), []quota.Use{{Bucket: "a", Quota: quota.Quota{Cost: 1, Window: time.Second}, Cost: 1}})
	assert.ErrorIs(t, err, ErrDown)
}
