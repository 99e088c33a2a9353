package stockfeed

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// TestGapOnReconnect: versions advance while Redis is down. After the reconnect
// the newest stock of every product arrives, and no older one.
func TestGapOnReconnect(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newFakeDatabase()
		db.set("a", 1)
		db.set("b", 1)
		db.set("c", 1)
		h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
		w := watch(t, h, "a", "b", "c")
		for range 3 {
			require.EqualValues(t, 1, nextVersion(t, w))
		}
		for round := int64(1); round <= 3; round++ {
			require.NoError(t, s.Kill())
			db.set("a", 10*round)
			db.set("b", 10*round)
			h.Deliver([]*models.Stock{stockAt("b", epoch, 10*round+1)}) // committed by this instance
			require.Equal(t, 10*round+1, nextVersion(t, w))
			require.NoError(t, s.Start())
			require.Equal(t, 10*round, nextVersion(t, w))
			// From here on messages arrive.
			require.Eventually(t, func() bool { return subscriptions(t, raw, channelOf("a")) == 1 }, soon, tick)
			publish(t, raw, stockAt("a", epoch, 10*round+5))
			require.Equal(t, 10*round+5, nextVersion(t, w))
		}
		requireEmpty(t, w)
		require.GreaterOrEqual(t, h.Stats().Connections, int64(4))
	})
}

func TestRedisDownAtStart(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		require.NoError(t, s.Kill())
		db := newFakeDatabase()
		db.set("a", 1)
		h := startHubAt(t, clientAt(t, s.ServerURL()), hubConfig(db))
		start := time.Now()
		w := watch(t, h, "a")
		require.Less(t, time.Since(start), soon/2, "a watch does not wait for a Redis that is disconnected")
		require.EqualValues(t, 1, nextVersion(t, w))
		h.Deliver([]*models.Stock{db.set("a", 2)})
		require.EqualValues(t, 2, nextVersion(t, w))
		db.set("a", 3) // committed by another instance
		require.False(t, h.Connected())
		require.NoError(t, s.Start())
		require.EqualValues(t, 3, nextVersion(t, w))
		publish(t, clientOf(t, s.Addr()), stockAt("a", epoch, 4))
		require.EqualValues(t, 4, nextVersion(t, w))
	})
}

// TestWritesOfOthersArriveWithoutRedis: while Redis is down, the commits of other
// instances arrive with the next periodic refresh.
func TestWritesOfOthersArriveWithoutRedis(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		db := newFakeDatabase()
		db.set("a", 1)
		cfg := hubConfig(db)
		cfg.RefreshInterval = refreshIntervalDefault
		w := watch(t, startHubAt(t, refused(t), cfg), "a")
		require.EqualValues(t, 1, nextVersion(t, w))
		for v := int64(2); v < 5; v++ {
			db.set("a", v)
			start := time.Now()
			require.EqualValues(t, v, nextVersion(t, w))
			require.LessOrEqual(t, time.Since(start), 2*refreshIntervalDefault)
		}
	})
}

// TestFrozenRedis: the connection stays open and Redis does not answer. The hub
// notices within three pings. Meanwhile it delivers what this instance commits,
// and afterwards what it missed.
func TestFrozenRedis(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	db.set("a", 1)
	db.set("b", 1)
	cfg := hubConfig(db)
	cfg.PingInterval = 200 * time.Millisecond
	cfg.ConfirmTimeout = 50 * time.Millisecond
	h := startHub(t, s.ServerURL(), cfg)
	a := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, a))

	require.NoError(t, s.Freeze())
	frozen := time.Now()
	b := watch(t, h, "b") // its subscription is not confirmed
	require.EqualValues(t, 1, nextVersion(t, b))
	h.Deliver([]*models.Stock{db.set("b", 2)})
	require.EqualValues(t, 2, nextVersion(t, b))
	db.set("a", 7)
	db.set("b", 7)
	require.Eventually(t, func() bool { return !h.Connected() }, soon, tick)
	t.Logf("noticed after %v, %.1f ping intervals", time.Since(frozen), time.Since(frozen).Seconds()/cfg.PingInterval.Seconds())

	require.NoError(t, s.Thaw())
	require.EqualValues(t, 7, nextVersion(t, a))
	require.EqualValues(t, 7, nextVersion(t, b))
	require.Eventually(t, h.Connected, soon, tick)
}

// TestALateConfirmationCausesARefresh: Redis stalls, but not long enough for the
// hub to reconnect. A watch that did not wait for the confirmation misses
// nothing.
func TestALateConfirmationCausesARefresh(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	db.set("a", 1)
	cfg := hubConfig(db)
	cfg.PingInterval = time.Hour
	cfg.ConfirmTimeout = 20 * time.Millisecond
	h := startHub(t, s.ServerURL(), cfg)
	require.NoError(t, s.Freeze())
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	db.set("a", 2)
	require.NoError(t, s.Thaw())
	require.EqualValues(t, 2, nextVersion(t, w))
	require.EqualValues(t, 1, h.Stats().Connections)
}

// TestConnectionCut: Redis runs on, and closes the connection.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	db.set("a", 1)
	h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	db.set("a", 2) // its message is lost
	require.NoError(t, raw.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.EqualValues(t, 2, nextVersion(t, w))
	require.EqualValues(t, 2, h.Stats().Connections)
}

// TestManyProductsAreRefreshedInBatches: a reconnect with many watched products
// takes few reads.
func TestManyProductsAreRefreshedInBatches(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	h, raw := startHub(t, s.ServerURL(), hubConfig(db)), clientOf(t, s.Addr())
	const watches = 8
	for i := range watches {
		ids := make([]string, WatchIDsMax)
		for j := range ids {
			ids[j] = string(rune('a'+i)) + string(rune('0'+j/100)) + string(rune('0'+j/10%10)) + string(rune('0'+j%10))
			db.set(ids[j], 1)
		}
		watch(t, h, ids...)
	}
	require.Equal(t, watches*WatchIDsMax, h.Stats().Products)
	products, calls := db.products.Load(), db.calls.Load()
	require.NoError(t, raw.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.Eventually(t, func() bool { return db.products.Load() >= products+watches*WatchIDsMax }, soon, tick)
	t.Logf("%d products in %d reads", db.products.Load()-products, db.calls.Load()-calls)
	require.LessOrEqual(t, db.calls.Load()-calls, int64(watches*10), "Redis confirms channels one by one; reads are batched")
}

// TestEveryKindOfClient: the hub works with RESP3 and with a cluster client.
func TestEveryKindOfClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster bool
		client  func(o *redis.Options) redis.UniversalClient
	}{
		"RESP3": {false, func(o *redis.Options) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: o.Addr, Username: o.Username, Password: o.Password, Protocol: 3})
		}},
		"cluster": {true, func(o *redis.Options) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{o.Addr}, Username: o.Username, Password: o.Password})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []storetest.Option
			if c.cluster {
				options = append(options, storetest.WithSetting("cluster-enabled", "yes"))
			}
			s := storetest.Redis(t, options...)
			raw := clientOf(t, s.Addr())
			if c.cluster {
				require.NoError(t, raw.ClusterAddSlotsRange(t.Context(), 0, 16383).Err())
				require.Eventually(t, func() bool {
					return strings.Contains(raw.ClusterInfo(t.Context()).Val(), "cluster_state:ok")
				}, soon, tick)
			}
			db := newFakeDatabase()
			cfg := hubConfig(db)
			cfg.PingInterval = 50 * time.Millisecond // so that replies to pings arrive too
			account, err := redis.ParseURL(s.ServerURL())
			require.NoError(t, err)
			cfg.Client = c.client(account)
			t.Cleanup(func() { require.NoError(t, cfg.Client.Close()) })
			h := NewHub(cfg)
			require.NoError(t, h.Start(t.Context()))
			t.Cleanup(h.Stop)
			require.Eventually(t, h.Connected, soon, tick)
			products := []string{"a", "b", "c", "d"} // in several slots
			w := watch(t, h, products...)
			for v := int64(1); v <= 3; v++ {
				for _, id := range products {
					require.EqualValues(t, 1, publish(t, raw, stockAt(id, epoch, 10*v)))
					require.EqualValues(t, 10*v, nextVersion(t, w))
					db.set(id, 10*v+1)
				}
				require.NoError(t, raw.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
				for range products {
					require.EqualValues(t, 10*v+1, nextVersion(t, w))
				}
				for _, id := range products {
					require.Eventually(t, func() bool { return subscriptions(t, raw, channelOf(id)) == 1 }, soon, tick)
				}
			}
			require.GreaterOrEqual(t, h.Stats().Connections, int64(4))
		})
	}
}

// TestPoisonRowDelaysNoOtherProduct: the other products of the same batch are
// refreshed, and the product itself once its row is repaired.
func TestPoisonRowDelaysNoOtherProduct(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newFakeDatabase()
	db.set("a", 1)
	db.set("b", 1)
	cfg := hubConfig(db)
	cfg.RefreshInterval = 20 * time.Millisecond
	w := watch(t, startHub(t, s.ServerURL(), cfg), "a", "b")
	for range 2 {
		require.EqualValues(t, 1, nextVersion(t, w))
	}
	db.setPoison("a", true)
	db.set("a", 2)
	db.set("b", 3)
	require.NoError(t, clientOf(t, s.Addr()).Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.EqualValues(t, 3, nextVersion(t, w))
	db.setPoison("a", false)
	require.EqualValues(t, 2, nextVersion(t, w))
}

// TestSilentRedisAtStart: a Redis that accepts the connection and does not answer
// delays neither watches nor Stop.
func TestSilentRedisAtStart(t *testing.T) {
	t.Parallel()
	db := newFakeDatabase()
	db.set("a", 1)
	cfg := hubConfig(db)
	cfg.ConfirmTimeout = 50 * time.Millisecond
	h := startHubAt(t, clientOf(t, storetest.Silent(t)), cfg)
	start := time.Now()
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	require.Less(t, time.Since(start), soon/2)
	require.False(t, h.Connected())
	start = time.Now()
	h.Stop()
	require.Less(t, time.Since(start), commandTimeout+time.Second)
}
