package rediscache

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestLateFillAfterALoss has a reader that read version 1 and fills late.
// Meanwhile version 2 was applied and Redis lost it. Redis has no version to
// compare with, and refuses the fill all the same.
func TestLateFillAfterALoss(t *testing.T) {
	losses := map[string]func(*testing.T, *Cache, *redis.Client){
		"flushed": func(t *testing.T, _ *Cache, raw *redis.Client) { require.NoError(t, raw.FlushAll(t.Context()).Err()) },
		"evicted": func(t *testing.T, c *Cache, raw *redis.Client) {
			require.NoError(t, raw.Del(t.Context(), c.keys.Stock("p")).Err())
		},
		"invalidated": func(t *testing.T, c *Cache, _ *redis.Client) {
			require.NoError(t, c.Invalidate(t.Context(), []string{"p"}))
		},
		"flushed, and leased to another reader": func(t *testing.T, c *Cache, raw *redis.Client) {
			require.NoError(t, raw.FlushAll(t.Context()).Err())
			_, err := c.Lease(t.Context(), []string{"p"})
			require.NoError(t, err)
		},
	}
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		for name, lose := range losses {
			for _, written := range []bool{true, false} {
				lease, err := c.Lease(t.Context(), []string{"p"})
				require.NoError(t, err)
				if written {
					require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 2)}))
				}
				lose(t, c, raw)
				require.NoError(t, c.Fill(t.Context(), lease, epoch, []*models.Stock{stockAt("p", epoch, 1)}, nil))
				require.EqualValues(t, -1, versionOf(t, c, epoch, "p"), name)
				require.NoError(t, c.Fill(t.Context(), lease, epoch, nil, []string{"p"}))
				require.EqualValues(t, -1, versionOf(t, c, epoch, "p"), name)
				require.NoError(t, c.Invalidate(t.Context(), []string{"p"}))
			}
		}
	})
}

// TestLateFillOfAnEarlierEpoch: a read from before the epoch changed does not
// replace what was applied since.
func TestLateFillOfAnEarlierEpoch(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		lease, err := c.Lease(t.Context(), []string{"p"})
		require.NoError(t, err)
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", "new", 5)}))
		require.NoError(t, c.Fill(t.Context(), lease, "old", []*models.Stock{stockAt("p", "old", 900)}, nil))
		require.EqualValues(t, 5, versionOf(t, c, "new", "p"))
	})
}

// TestLease: a lease is a miss, expires, permits one fill, keeps a cached stock
// readable, and replaces a key of another type. Without a lease nothing is
// filled.
func TestLease(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, c.Fill(t.Context(), "", epoch, []*models.Stock{stockAt("p", epoch, 1)}, []string{"q"}))
		require.Zero(t, raw.DBSize(t.Context()).Val())

		lease, err := c.Lease(t.Context(), []string{"p"})
		require.NoError(t, err)
		require.EqualValues(t, -1, versionOf(t, c, epoch, "p"))
		left := raw.PTTL(t.Context(), c.keys.Stock("p")).Val()
		require.Positive(t, left)
		require.LessOrEqual(t, left, leaseTTL)
		require.NoError(t, c.Fill(t.Context(), lease, epoch, []*models.Stock{stockAt("p", epoch, 1)}, nil))
		require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))
		require.Greater(t, raw.PTTL(t.Context(), c.keys.Stock("p")).Val(), leaseTTL)
		require.NoError(t, c.Fill(t.Context(), lease, epoch, []*models.Stock{stockAt("p", epoch, 2)}, nil))
		require.EqualValues(t, 1, versionOf(t, c, epoch, "p"), "used up")

		second, err := c.Lease(t.Context(), []string{"p"})
		require.NoError(t, err)
		require.NotEqual(t, lease, second)
		require.EqualValues(t, 1, versionOf(t, c, epoch, "p"))

		require.NoError(t, raw.Set(t.Context(), c.keys.Stock("text"), "no hash", 0).Err())
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("text", epoch, 3)}, nil))
		require.EqualValues(t, 3, versionOf(t, c, epoch, "text"))
	})
}
