package rediscache

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

func TestUnpublished(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, _ *redis.Client) {
		require.NoError(t, c.Apply(t.Context(), []*models.Stock{stockAt("told", epoch, 5), stockAt("foreign", "other", 9)}))
		require.NoError(t, fill(t, c, epoch, []*models.Stock{stockAt("filled", epoch, 5)}, []string{"missing"}))
		behind, err := c.Unpublished(t.Context(), []models.Change{
			{ProductID: "told", Version: 5}, {ProductID: "told", Version: 4}, {ProductID: "filled", Version: 5},
			{ProductID: "foreign", Version: 1}, {ProductID: "missing", Version: 1}, {ProductID: "never", Version: 1},
			{ProductID: "never", Version: 2},
		}, epoch)
		require.NoError(t, err)
		require.Equal(t, []string{"filled", "foreign", "missing", "never"}, behind)
		behind, err = c.Unpublished(t.Context(), []models.Change{{ProductID: "told", Version: 6}}, epoch)
		require.NoError(t, err)
		require.Equal(t, []string{"told"}, behind)
	})
}

func TestPublishReservationSaysNothingButWhich(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		published := subscribe(t, raw, c.keys.ReservationChannel("res_1"), c.keys.ReservationChannel("res_2"))
		require.NoError(t, c.PublishReservations(t.Context(), []string{"res_1", "res_2", "res_3"}))
		require.Equal(t, []string{"", ""}, published())
	})
}

func TestMarkKeepsTheLargerSequenceOfAnEpoch(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		mark := func() (string, int64) {
			m, err := c.Watermark(t.Context())
			require.NoError(t, err)
			return m.Epoch, m.Sequence
		}
		for _, s := range []struct {
			epoch         string
			set, sequence int64
		}{{"a", 5, 5}, {"a", 3, 5}, {"a", 8, 8}, {"b", 2, 2}, {"b", 2, 2}, {"a", 1, 1}} {
			require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: s.epoch, Sequence: s.set, RunIDs: "run"}))
			gotEpoch, gotSequence := mark()
			require.Equal(t, s.epoch, gotEpoch)
			require.Equal(t, s.sequence, gotSequence)
		}
		require.NoError(t, raw.Set(t.Context(), c.keys.Watermark(), "not a hash", 0).Err())
		gotEpoch, _ := mark()
		require.Empty(t, gotEpoch)
		require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: "a", Sequence: 9}))
		_, gotSequence := mark()
		require.EqualValues(t, 9, gotSequence)
		require.NoError(t, raw.FlushAll(t.Context()).Err())
		gotEpoch, gotSequence = mark()
		require.Empty(t, gotEpoch)
		require.Zero(t, gotSequence)
	})
}

func TestMarkTellsWhichRedisItIs(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), Config{Timeout: generous})
	before, err := c.Watermark(t.Context())
	require.NoError(t, err)
	require.Len(t, before.RunIDs, 40)
	again, err := c.Watermark(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, again)
	require.NoError(t, server.Kill())
	require.NoError(t, server.Start())
	require.Eventually(t, func() bool {
		after, err := c.Watermark(t.Context())
		return err == nil && after.RunIDs != before.RunIDs && len(after.RunIDs) == 40
	}, generous, eventuallyTick)

	embedded := newCache(t, "redis://"+miniredis.RunT(t).Addr(), Config{Timeout: generous})
	mark, err := embedded.Watermark(t.Context())
	require.NoError(t, err)
	require.Empty(t, mark.RunIDs)
}
