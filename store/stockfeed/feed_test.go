package stockfeed

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/stockbinary"
	"onhand/store/storetest"
)

// publishedCache is a RelayCache in Redis that has only the published versions.
type publishedCache struct{ client *redis.Client }

func (c publishedCache) Unpublished(ctx context.Context, changes []models.Change, _ string) ([]string, error) {
	var ids []string
	for _, change := range changes {
		version, err := c.client.Get(ctx, "published:"+change.ProductID).Int64()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, err
		}
		if version < change.Version {
			ids = append(ids, change.ProductID)
		}
	}
	return ids, nil
}

func (c publishedCache) ApplyDeletions(context.Context, string, []models.Change) error { return nil }

func (c publishedCache) Invalidate(context.Context, []string) error { return nil }

func (c publishedCache) Apply(ctx context.Context, stocks []*models.Stock) error {
	for _, s := range stocks {
		if err := c.client.Set(ctx, "published:"+s.ProductID, s.Version, 0).Err(); err != nil {
			return err
		}
		if err := c.client.Publish(ctx, channelOf(s.ProductID), stockbinary.Encode(s).Message()).Err(); err != nil {
			return err
		}
	}
	return nil
}

// TestFeedFromEndToEnd: changes that are only in the outbox reach a watch,
// through an outage of Redis, in increasing versions.
func TestFeedFromEndToEnd(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		o, db := &fakeOutbox{}, newFakeDatabase()
		h := startHub(t, s.ServerURL(), hubConfig(db))
		w := watch(t, h, "a")
		r := startRelay(t, relayConfig(o, publishedCache{clientOf(t, s.Addr())}, db))
		change := func(version int64) {
			db.set("a", version)
			o.add(models.Change{ProductID: "a", Version: version})
		}
		last := int64(0)
		await := func(version int64) {
			for last < version {
				next := nextVersion(t, w)
				require.Greater(t, next, last)
				last = next
			}
		}
		change(1)
		await(1)
		require.NoError(t, s.Kill())
		for v := int64(2); v <= 20; v++ {
			change(v)
		}
		require.Eventually(t, func() bool { return r.Stats().Failing }, soon, tick)
		require.NotZero(t, o.len())
		require.NoError(t, s.Start())
		await(20)
		require.Eventually(t, o.empty, soon, tick)
		change(21)
		await(21)
	})
}

// TestRelayStopsWhileRedisIsFrozen: Stop waits for a frozen Redis no longer than
// the client's timeout.
func TestRelayStopsWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	o, db := &fakeOutbox{}, newFakeDatabase()
	r := startRelay(t, relayConfig(o, publishedCache{clientOf(t, s.Addr())}, db))
	require.NoError(t, s.Freeze())
	db.set("a", 1)
	o.add(models.Change{ProductID: "a", Version: 1})
	require.Eventually(t, func() bool { return r.Stats().Failing }, soon, tick)
	stopping := time.Now()
	r.Stop()
	require.Less(t, time.Since(stopping), soon)
	require.Equal(t, 1, o.len())
}
