package rediscache

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

func TestUnpublished(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("published", epoch, 5), stockAt("foreign", "other", 9)}))
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("filled", epoch, 5)}, []string{"missing"}))
		unpublished, err := c.Unpublished(t.Context(), []models.Change{
			{ProductID: "published", Version: 5}, {ProductID: "published", Version: 4}, {ProductID: "filled", Version: 5},
			{ProductID: "foreign", Version: 1}, {ProductID: "missing", Version: 1}, {ProductID: "never", Version: 1},
			{ProductID: "never", Version: 2},
		}, epoch)
		require.NoError(t, err)
		require.Equal(t, []string{"filled", "foreign", "missing", "never"}, unpublished)
		unpublished, err = c.Unpublished(t.Context(), []models.Change{{ProductID: "published", Version: 6}}, epoch)
		require.NoError(t, err)
		require.Equal(t, []string{"published"}, unpublished)
	})
}

// A product that is removed from Redis, or no longer exists, is announced with an empty
// message: copies elsewhere must be read again.
func TestRemovalsArePublished(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("p", epoch, 4), stockAt("q", epoch, 9)}))
		published := subscribe(t, raw, c.keys.StockChannel("*"))
		require.NoError(t, c.ApplyDeletions(t.Context(), epoch, []models.Change{{ProductID: "p", Version: 5}}))
		require.Equal(t, []string{""}, published())
		require.NoError(t, c.Invalidate(t.Context(), []string{"q", "r"}))
		require.Equal(t, []string{"", "", ""}, published())
		require.Empty(t, raw.HGetAll(t.Context(), c.keys.Stock("q")).Val())
	})
}

func TestReservationMessagesAreEmpty(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		published := subscribe(t, raw, c.keys.ReservationChannel("res_1"), c.keys.ReservationChannel("res_2"))
		require.NoError(t, c.PublishReservations(t.Context(), []string{"res_1", "res_2", "res_3"}))
		require.Equal(t, []string{"", ""}, published())
	})
}
