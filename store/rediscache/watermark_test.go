package rediscache

import (
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

func TestWatermarkKeepsTheHigherSequenceOfAnEpoch(t *testing.T) {
	onEvery(t, func(t *testing.T, c *Cache, raw *redis.Client) {
		watermark := func() (string, int64) {
			w, err := c.Watermark(t.Context())
			require.NoError(t, err)
			return w.Epoch, w.Sequence
		}
		for _, s := range []struct {
			epoch         string
			set, sequence int64
		}{{"a", 5, 5}, {"a", 3, 5}, {"a", 8, 8}, {"b", 2, 2}, {"b", 2, 2}, {"a", 1, 1}} {
			require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: s.epoch, Sequence: s.set, RunIDs: "run"}))
			gotEpoch, gotSequence := watermark()
			require.Equal(t, s.epoch, gotEpoch)
			require.Equal(t, s.sequence, gotSequence)
		}
		require.NoError(t, raw.Set(t.Context(), c.keys.Watermark(), "not a hash", 0).Err())
		gotEpoch, _ := watermark()
		require.Empty(t, gotEpoch)
		require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: "a", Sequence: 9}))
		_, gotSequence := watermark()
		require.EqualValues(t, 9, gotSequence)
		require.NoError(t, raw.FlushAll(t.Context()).Err())
		gotEpoch, gotSequence = watermark()
		require.Empty(t, gotEpoch)
		require.Zero(t, gotSequence)
	})
}

func TestWatermarkHasTheRunIDs(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	c := newCache(t, server.URL(), CacheConfig{Timeout: generous})
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

	embedded := newCache(t, "redis://"+miniredis.RunT(t).Addr(), CacheConfig{Timeout: generous})
	watermark, err := embedded.Watermark(t.Context())
	require.NoError(t, err)
	require.Empty(t, watermark.RunIDs)
}
