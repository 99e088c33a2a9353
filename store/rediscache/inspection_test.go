package rediscache

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// TestInspect finds hashes that readers accept and hashes that they do not, and
// does not count as a read.
func TestInspect(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		ctx := t.Context()
		lease, err := c.Lease(ctx, []string{"unknown", "leased"})
		require.NoError(t, err)
		require.NoError(t, c.Fill(ctx, lease, epoch, nil, []string{"unknown"}))
		require.NoError(t, c.Apply(ctx, []*models.Stock{
			stockAt("right", epoch, 3), stockAt("other epoch", "epoch-0", 5), stockAt("edited", epoch, 4), stockAt("bare", epoch, 4), stockAt("moved", epoch, 6),
		}))
		require.NoError(t, raw.HSet(ctx, c.keys.Stock("edited"), fieldQuantity, 99).Err())
		require.NoError(t, raw.HDel(ctx, c.keys.Stock("bare"), fieldVersion).Err())
		require.NoError(t, raw.Rename(ctx, c.keys.Stock("moved"), c.keys.Stock("there")).Err())
		require.NoError(t, raw.Set(ctx, c.keys.Stock("text"), "x", 0).Err())
		before := c.Stats()
		found, err := c.Inspect(ctx, []string{"right", "other epoch", "edited", "bare", "there", "text", "unknown", "nothing", "leased"})
		require.NoError(t, err)

		require.Equal(t, Inspection{Cached: true, Epoch: epoch, Version: 3, Stock: stockAt("right", epoch, 3)}, found[0])
		require.Equal(t, Inspection{Cached: true, Epoch: "epoch-0", Version: 5, Stock: stockAt("other epoch", "epoch-0", 5)}, found[1])
		for i, want := range map[int]string{2: "checksum", 3: "no version", 4: `product "moved"`, 5: "WRONGTYPE"} {
			require.True(t, found[i].Cached, want)
			require.Nil(t, found[i].Stock, want)
			require.ErrorContains(t, found[i].Err, want)
		}
		require.EqualValues(t, []int64{4, -1, 6, -1}, []int64{found[2].Version, found[3].Version, found[4].Version, found[5].Version})
		require.Equal(t, Inspection{Cached: true, Epoch: epoch, Missing: true}, found[6])
		require.Equal(t, Inspection{}, found[7])
		require.Equal(t, Inspection{}, found[8], "only a lease")
		after := c.Stats()
		require.Equal(t, before.RoundTrips+1, after.RoundTrips)
		require.Equal(t, []int64{before.Hits, before.Misses, before.NegativeHits}, []int64{after.Hits, after.Misses, after.NegativeHits})
	})
}
