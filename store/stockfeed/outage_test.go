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

// TestGapOnReconnect: versions advance while Redis is away; once it is back,
// the newest state of every product arrives, and no older one.
func TestGapOnReconnect(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		db := newShop()
		db.set("a", 1)
		db.set("b", 1)
		db.set("c", 1)
		h, raw := startHub(t, s.Addr(), quick(db)), clientOf(t, s.Addr())
		w := watch(t, h, "a", "b", "c")
		for range 3 {
			require.EqualValues(t, 1, nextVersion(t, w))
		}
		for round := int64(1); round <= 3; round++ {
			require.NoError(t, s.Kill())
			db.set("a", 10*round)
			db.set("b", 10*round)
			h.Deliver([]*models.Stock{stockAt("b", epoch, 10*round+1)}) // our own write, newer still
			require.Equal(t, 10*round+1, nextVersion(t, w))
			require.NoError(t, s.Start())
			require.Equal(t, 10*round, nextVersion(t, w))
			// From here on messages arrive again.
			require.Eventually(t, func() bool { return subscriptions(t, raw, channelOf("a")) == 1 }, soon, tick)
			publish(t, raw, stockAt("a", epoch, 10*round+5))
			require.Equal(t, 10*round+5, nextVersion(t, w))
		}
		quiet(t, w)
		require.GreaterOrEqual(t, h.Stats().Sessions, int64(4))
	})
}

func TestRedisDownAtStart(t *testing.T) {
	onEvery(t, func(t *testing.T, s server) {
		require.NoError(t, s.Kill())
		db := newShop()
		db.set("a", 1)
		h := startHubAlone(t, s.Addr(), quick(db))
		began := time.Now()
		w := watch(t, h, "a")
		require.Less(t, time.Since(began), soon/2, "nobody waits for a Redis that is known to be away")
		require.EqualValues(t, 1, nextVersion(t, w))
		h.Deliver([]*models.Stock{db.set("a", 2)})
		require.EqualValues(t, 2, nextVersion(t, w))
		db.set("a", 3) // somebody else's write
		require.False(t, h.Connected())
		require.NoError(t, s.Start())
		require.EqualValues(t, 3, nextVersion(t, w))
		publish(t, clientOf(t, s.Addr()), stockAt("a", epoch, 4))
		require.EqualValues(t, 4, nextVersion(t, w))
	})
}

// TestWritesOfOthersArriveWithoutRedis: what another process commits while
// Redis is away is read from the database, a little later.
func TestWritesOfOthersArriveWithoutRedis(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	require.NoError(t, s.Kill())
	db := newShop()
	db.set("a", 1)
	cfg := quick(db)
	cfg.RereadInterval = 20 * time.Millisecond
	w := watch(t, startHubAlone(t, s.Addr(), cfg), "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	for v := int64(2); v < 5; v++ {
		db.set("a", v)
		require.EqualValues(t, v, nextVersion(t, w))
	}
}

// TestFrozenRedis: the connection stays open and nothing answers. The hub
// notices within three pings, serves current values meanwhile, and catches up.
func TestFrozenRedis(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	db.set("a", 1)
	db.set("b", 1)
	cfg := quick(db)
	cfg.PingInterval = 200 * time.Millisecond
	cfg.ConfirmTimeout = 50 * time.Millisecond
	h := startHub(t, s.Addr(), cfg)
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
	t.Logf("noticed after %v, %.1f pings", time.Since(frozen), time.Since(frozen).Seconds()/cfg.PingInterval.Seconds())

	require.NoError(t, s.Thaw())
	require.EqualValues(t, 7, nextVersion(t, a))
	require.EqualValues(t, 7, nextVersion(t, b))
	require.Eventually(t, h.Connected, soon, tick)
}

// TestLateConfirmationIsReadAgain: Redis stalls for a moment, too short to be
// given up. A watch that did not wait for it misses nothing.
func TestLateConfirmationIsReadAgain(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	db.set("a", 1)
	cfg := quick(db)
	cfg.PingInterval = time.Hour
	cfg.ConfirmTimeout = 20 * time.Millisecond
	h := startHub(t, s.Addr(), cfg)
	require.NoError(t, s.Freeze())
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	db.set("a", 2)
	require.NoError(t, s.Thaw())
	require.EqualValues(t, 2, nextVersion(t, w))
	require.EqualValues(t, 1, h.Stats().Sessions)
}

// TestConnectionCut: Redis stays, the connection does not.
func TestConnectionCut(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	db.set("a", 1)
	h, raw := startHub(t, s.Addr(), quick(db)), clientOf(t, s.Addr())
	w := watch(t, h, "a")
	require.EqualValues(t, 1, nextVersion(t, w))
	db.set("a", 2) // its message is lost
	require.NoError(t, raw.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.EqualValues(t, 2, nextVersion(t, w))
	require.EqualValues(t, 2, h.Stats().Sessions)
}

// TestManyProductsAreReadAgainInBatches: one reconnect with many products
// watched costs few reads.
func TestManyProductsAreReadAgainInBatches(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	h, raw := startHub(t, s.Addr(), quick(db)), clientOf(t, s.Addr())
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
	read, asked := db.reads.Load(), db.asked.Load()
	require.NoError(t, raw.Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.Eventually(t, func() bool { return db.reads.Load() >= read+watches*WatchIDsMax }, soon, tick)
	t.Logf("%d products in %d reads", db.reads.Load()-read, db.asked.Load()-asked)
	require.LessOrEqual(t, db.asked.Load()-asked, int64(watches*10), "confirmations come one by one, reads do not")
}

// TestEveryKindOfClient: the hub does not care which protocol its client
// speaks, nor whether it is a cluster's.
func TestEveryKindOfClient(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cluster bool
		client  func(addr string) redis.UniversalClient
	}{
		"RESP3": {false, func(addr string) redis.UniversalClient {
			return redis.NewClient(&redis.Options{Addr: addr, Protocol: 3})
		}},
		"cluster": {true, func(addr string) redis.UniversalClient {
			return redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}})
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
			db := newShop()
			cfg := quick(db)
			cfg.PingInterval = 50 * time.Millisecond // so that answers to pings are read, too
			cfg.Client = c.client(s.Addr())
			t.Cleanup(func() { require.NoError(t, cfg.Client.Close()) })
			h := NewHub(cfg)
			require.NoError(t, h.Start(t.Context()))
			t.Cleanup(h.Stop)
			require.Eventually(t, h.Connected, soon, tick)
			products := []string{"a", "b", "c", "d"} // of several slots
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
			require.GreaterOrEqual(t, h.Stats().Sessions, int64(4))
		})
	}
}

// TestOneUnreadableProduct: it holds up no other one that is read in the same
// batch, and is read when it can be.
func TestOneUnreadableProduct(t *testing.T) {
	t.Parallel()
	s := storetest.Redis(t)
	db := newShop()
	db.set("a", 1)
	db.set("b", 1)
	cfg := quick(db)
	cfg.RereadInterval = 20 * time.Millisecond
	w := watch(t, startHub(t, s.Addr(), cfg), "a", "b")
	for range 2 {
		require.EqualValues(t, 1, nextVersion(t, w))
	}
	db.breakProduct("a", true)
	db.set("a", 2)
	db.set("b", 3)
	require.NoError(t, clientOf(t, s.Addr()).Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	require.EqualValues(t, 3, nextVersion(t, w))
	db.breakProduct("a", false)
	require.EqualValues(t, 2, nextVersion(t, w))
}
