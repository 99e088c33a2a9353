package nearcache

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// heard records what a feed says.
type heard struct {
	mu       sync.Mutex
	isOpen   bool
	opens    int
	messages map[string]string // the last payload by product
}

func (h *heard) opened() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isOpen = true
	h.opens++
}

func (h *heard) closed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.isOpen = false
}

func (h *heard) message(id, payload string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.messages[id] = payload
}

func (h *heard) is(open bool) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.isOpen == open
	}
}

func (h *heard) products() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.messages)
}

func (h *heard) has(id, payload string) func() bool {
	return func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.messages[id] == payload
	}
}

// listen starts a feed of a key prefix, and stops it when the test ends.
func listen(t *testing.T, client redis.UniversalClient, prefix string) (*changeFeed, *heard) {
	t.Helper()
	h := &heard{messages: map[string]string{}}
	f := newChangeFeed(NearCacheConfig{
		Client: client, StockChannel: func(id string) string { return prefix + "inventory_change:" + id }, clock: machineClock(),
	}, h)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		require.True(t, h.is(false)(), "closed at the end")
		require.False(t, f.fresh(f.clock()))
		_ = client.Close()
	})
	return f, h
}

func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	require.Eventually(t, condition, patience, 5*time.Millisecond)
}

func clientOf(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	options, err := redis.ParseURL(url)
	require.NoError(t, err)
	options.Protocol, options.ContextTimeoutEnabled = 2, true
	return redis.NewClient(options)
}

// clusterClientOf is a client of a cluster with the account of its URL.
func clusterClientOf(t *testing.T, url string) redis.UniversalClient {
	t.Helper()
	seeds := strings.Split(url[strings.LastIndexByte(url, '@')+1:], ",")
	options, err := redis.ParseURL(strings.TrimSuffix(url, ","+strings.Join(seeds[1:], ",")))
	require.NoError(t, err)
	return redis.NewClusterClient(&redis.ClusterOptions{
		Addrs: seeds, Username: options.Username, Password: options.Password, Protocol: 2, ContextTimeoutEnabled: true,
	})
}

// A feed opens, passes on the messages of its products and no others, stays fresh, and
// opens again after a lost connection: on a Redis, a Cluster and the embedded Redis.
func TestFeed(t *testing.T) {
	t.Parallel()
	for name, connect := range map[string]func(t *testing.T) redis.UniversalClient{
		"redis": func(t *testing.T) redis.UniversalClient { return clientOf(t, storetest.Redis(t).ServerURL()) },
		"cluster": func(t *testing.T) redis.UniversalClient {
			url, _ := storetest.RedisCluster(t)
			return clusterClientOf(t, storetest.ServerAccount(url))
		},
		"embedded": func(t *testing.T) redis.UniversalClient {
			server := miniredis.RunT(t)
			return redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2, ContextTimeoutEnabled: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect(t)
			f, h := listen(t, client, "shop[1]*:")
			eventually(t, h.is(true))
			require.True(t, f.fresh(f.clock()), "opened with an answered ping")
			for _, id := range []string{"x", "a*b", "", "c:d"} {
				require.NoError(t, client.Publish(t.Context(), "shop1:inventory_change:x", "other").Err())
				require.NoError(t, client.Publish(t.Context(), "shop[1]*:inventory_change:"+id, "of "+id).Err())
				eventually(t, h.has(id, "of "+id))
			}
			require.Equal(t, 4, h.products())
			first := *(*f.sessions.Load())[0].answered.Load()
			eventually(t, func() bool { // pings go on
				return (*(*f.sessions.Load())[0].answered.Load()).monotonic > first.monotonic+int64(2*pingInterval)
			})
		})
	}
}

// A Redis that dies ends the feed; when it is back, the feed opens again.
func TestFeedReconnects(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	f, h := listen(t, clientOf(t, server.ServerURL()), "")
	eventually(t, h.is(true))
	server.Kill()
	eventually(t, h.is(false))
	require.False(t, f.fresh(f.clock()))
	require.NoError(t, server.Start())
	eventually(t, h.is(true))
	require.Equal(t, 2, h.opens)
	require.NoError(t, clientOf(t, server.URL()).Do(t.Context(), "client", "kill", "type", "pubsub").Err())
	eventually(t, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.opens == 3 })
}

// A Redis that is stopped is not fresh within freshMax, and is given up after a while.
func TestFeedFrozen(t *testing.T) {
	t.Parallel()
	server := storetest.Redis(t)
	f, h := listen(t, clientOf(t, server.ServerURL()), "")
	eventually(t, h.is(true))
	require.NoError(t, server.Freeze())
	frozen := f.clock()
	eventually(t, func() bool { return !f.fresh(f.clock()) })
	require.Less(t, f.clock().monotonic-frozen.monotonic, int64(silenceMax), "before the connection is given up")
	require.True(t, h.is(true)())
	eventually(t, h.is(false))
	require.NoError(t, server.Thaw())
	eventually(t, h.is(true))
}

// One master of a cluster that is gone ends the feed of all.
func TestFeedOfAllMasters(t *testing.T) {
	t.Parallel()
	url, servers := storetest.RedisCluster(t)
	f, h := listen(t, clusterClientOf(t, storetest.ServerAccount(url)), "")
	eventually(t, h.is(true))
	require.Len(t, *f.sessions.Load(), len(servers))
	servers[1].Kill()
	eventually(t, h.is(false))
}

// A server that accepts connections and never answers: nothing is fresh, and Stop does
// not wait for it.
func TestFeedOfASilentServer(t *testing.T) {
	t.Parallel()
	f, h := listen(t, redis.NewClient(&redis.Options{Addr: storetest.Silent(t), Protocol: 2, ContextTimeoutEnabled: true, DisableIdentity: true}), "")
	time.Sleep(2 * pingInterval) // nothing may happen, so there is no event to wait for
	require.True(t, h.is(false)())
	require.False(t, f.fresh(f.clock()))
}
