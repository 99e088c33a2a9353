package rediscache

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// clusterTimeout bounds the wait for the nodes of a new cluster to agree.
const clusterTimeout = 30 * time.Second

// startCluster starts a Redis Cluster of three masters. It returns its URL, and
// the server and a client of each master.
func startCluster(t *testing.T) (url string, nodes []*redis.Client, servers []*storetest.RedisServer) {
	t.Helper()
	url, servers = storetest.RedisCluster(t)
	for _, server := range servers {
		nodes = append(nodes, rawClient(t, server.URL()))
	}
	return url, nodes, servers
}

// TestCluster: every call works where the keys are on several nodes, and a node
// that lost its scripts gets them again.
func TestCluster(t *testing.T) {
	t.Parallel()
	url, nodes, _ := startCluster(t)
	c := newCache(t, url, CacheConfig{Timeout: generous})
	const n = 90
	names := ids(n)
	write := func(version int64) {
		stocks := make([]*models.Stock, n)
		for i, id := range names {
			stocks[i] = stockAt(id, epoch, version)
		}
		require.NoError(t, c.Apply(t.Context(), stocks))
		entries, err := c.Get(t.Context(), epoch, names)
		require.NoError(t, err)
		for i := range names {
			require.Equal(t, stocks[i], entries[i].Stock)
		}
	}
	write(1)
	for _, node := range nodes {
		require.Positive(t, node.DBSize(t.Context()).Val(), "every node has keys")
	}
	require.NoError(t, nodes[1].ScriptFlush(t.Context()).Err())
	write(2)
	require.NoError(t, fill(t, c, epoch, nil, []string{"unknown"}))
	require.EqualValues(t, 0, versionOf(t, c, epoch, "unknown"))

	changes := make([]models.Change, n)
	for i, id := range names {
		changes[i] = models.Change{ProductID: id, Version: 2}
	}
	changes[7].Version = 3
	unpublished, err := c.Unpublished(t.Context(), changes, epoch)
	require.NoError(t, err)
	require.Equal(t, []string{names[7]}, unpublished)

	// A subscriber on one node gets the messages that other nodes publish.
	published := subscribe(t, nodes[2], c.keys.StockChannel("*"), c.keys.ReservationChannel("*"))
	write(3)
	require.NoError(t, c.PublishReservations(t.Context(), names[:5]))
	require.Eventually(t, func() bool { // go-redis may send a script twice
		payloads := slices.DeleteFunc(slices.Clone(published()), func(message string) bool {
			return strings.Contains(message, `"version":2`) // from before, and late: nodes pass messages on when they can
		})
		slices.Sort(payloads)
		return len(payloads) >= n+5 && len(slices.Compact(payloads)) == n+1 // the messages of reservations are all empty
	}, generous, eventuallyTick)

	require.NoError(t, c.SetWatermark(t.Context(), Watermark{Epoch: epoch, Sequence: 12}))
	watermark, err := c.Watermark(t.Context())
	require.NoError(t, err)
	require.Equal(t, epoch, watermark.Epoch)
	require.EqualValues(t, 12, watermark.Sequence)
	require.Len(t, strings.Split(watermark.RunIDs, ","), 3)
	require.Len(t, watermark.RunIDs, 3*40+2)
	again, err := c.Watermark(t.Context())
	require.NoError(t, err)
	require.Equal(t, watermark, again)
}

// TestClusterFailover: a master dies and its replica takes over. The client
// learns of it when a call has failed, before the regular reload of the
// topology, and says so.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	url, nodes, servers := startCluster(t)
	replica := storetest.Redis(t, storetest.WithSetting("cluster-enabled", "yes"))
	raw := rawClient(t, replica.URL())
	host, port, err := net.SplitHostPort(servers[2].Addr())
	require.NoError(t, err)
	bus, err := nodes[2].ConfigGet(t.Context(), "cluster-port").Result()
	require.NoError(t, err)
	require.NoError(t, raw.Do(t.Context(), "cluster", "meet", host, port, bus["cluster-port"]).Err())
	master := nodes[2].Do(t.Context(), "cluster", "myid").Val().(string)
	require.Eventually(t, func() bool { return raw.ClusterReplicate(t.Context(), master).Err() == nil }, clusterTimeout, eventuallyTick)
	for _, node := range append(nodes, raw) {
		require.Eventually(t, func() bool {
			return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_known_nodes:4") &&
				strings.Contains(raw.Info(t.Context(), "replication").Val(), "master_link_status:up")
		}, clusterTimeout, eventuallyTick)
	}

	var replaced atomic.Int64
	c := newCache(t, url, CacheConfig{Timeout: generous, OnReplaced: func() { replaced.Add(1) }})
	ask := func() error { _, err := c.Get(t.Context(), epoch, ids(90)); return err }
	require.NoError(t, ask())
	require.Zero(t, replaced.Load())
	require.NoError(t, servers[2].Kill())
	require.NoError(t, raw.Do(t.Context(), "cluster", "failover", "takeover").Err())
	for _, node := range nodes[:2] {
		require.Eventually(t, func() bool {
			text, _ := node.Do(t.Context(), "cluster", "nodes").Text()
			return strings.Contains(text, raw.Options().Addr) && !strings.Contains(lineOf(text, raw.Options().Addr), "slave")
		}, clusterTimeout, eventuallyTick)
	}
	require.ErrorIs(t, ask(), ErrDown, "the topology is still the old one")
	require.Eventually(t, func() bool { return ask() == nil }, topologyInterval/2, eventuallyTick)
	require.Positive(t, replaced.Load(), "before anything is read from the new master")
}

// lineOf is the first line that contains words.
func lineOf(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}

// TestSeparatedNodeIsClosed: a node of a cluster does not reach the two other masters any more, and goes on answering. The
// next look closes every connection to it, also the subscription, and no new one is made until it reaches them again. While it
// lacks one of them alone, none is closed.
func TestSeparatedNodeIsClosed(t *testing.T) {
	t.Parallel()
	url, nodes, servers := startCluster(t)
	for _, node := range nodes {
		require.NoError(t, node.ConfigSet(t.Context(), "cluster-node-timeout", "500").Err())
	}
	c := newCache(t, url, CacheConfig{Timeout: generous})
	_, err := c.Get(t.Context(), epoch, ids(90)) // a connection to each
	require.NoError(t, err)
	node := clientOf(t, c, nodes[0].Options().Addr)
	subscription := node.Subscribe(t.Context(), "test:changes")
	t.Cleanup(func() { _ = subscription.Close() })
	_, err = subscription.Receive(t.Context())
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := subscription.Receive(t.Context())
		ended <- err
	}()

	look := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second) // frozen nodes do not answer
		defer cancel()
		c.CloseSeparated(ctx)
	}
	lacks := func(n int) func() bool {
		return func() bool { return strings.Count(nodes[0].ClusterNodes(t.Context()).Val(), "fail") == n }
	}
	require.NoError(t, servers[1].Freeze())
	require.Eventually(t, lacks(1), clusterTimeout, eventuallyTick)
	look()
	require.NoError(t, node.Ping(t.Context()).Err())
	require.Empty(t, ended, "only one master is away")

	require.NoError(t, servers[2].Freeze())
	require.Eventually(t, lacks(2), clusterTimeout, eventuallyTick)
	look()
	select {
	case err := <-ended:
		require.Error(t, err, "no message comes any more")
	case <-time.After(generous):
		require.Fail(t, "the subscription is still at the separated node")
	}
	require.ErrorIs(t, node.Ping(t.Context()).Err(), errSeparated)

	require.NoError(t, servers[1].Thaw())
	require.NoError(t, servers[2].Thaw())
	require.Eventually(t, func() bool { return node.Ping(t.Context()).Err() == nil }, clusterTimeout, eventuallyTick)
}

// clientOf is the reader's client of a node.
func clientOf(t *testing.T, c *Cache, address string) (found *redis.Client) {
	t.Helper()
	require.NoError(t, c.reader.(*redis.ClusterClient).ForEachMaster(t.Context(), func(_ context.Context, node *redis.Client) error {
		if node.Options().Addr == address {
			found = node
		}
		return nil
	}))
	require.NotNil(t, found)
	return found
}

// TestSeparated: most masters that serve slots must be reached; replicas and masters without slots do not count.
func TestSeparated(t *testing.T) {
	t.Parallel()
	const own = "a 10.0.0.1:6379@16379 myself,master - 0 0 1 connected 0-5460 [5000->-b]\n"
	line := func(id, flags, slots string) string {
		return id + " 10.0.0.2:6379@16379,host " + flags + " - 0 0 2 disconnected" + slots + "\n"
	}
	for name, c := range map[string]struct {
		nodes string
		want  bool
	}{
		"all are reached":                            {own + line("b", "master", " 5461-10922") + line("c", "master", " 10923-16383"), false},
		"one is dead":                                {own + line("b", "master,fail", " 5461-10922") + line("c", "master", " 10923-16383"), false},
		"two are not reached":                        {own + line("b", "master,fail?", " 5461-10922") + line("c", "master,fail", " 10923-16383"), true},
		"one of two is not reached":                  {own + line("b", "master,fail?", " 5461-16383"), true},
		"replicas and masters without slots are not": {own + line("b", "slave,fail?", "") + line("c", "master,fail", ""), false},
		"nothing":                                    {"", false},
	} {
		require.Equal(t, c.want, separated(c.nodes), name)
	}
}

// refusalReply is an error with which Redis answers.
type refusalReply string

func (r refusalReply) Error() string { return string(r) }

// RedisError implements [redis.Error].
func (refusalReply) RedisError() {}

// TestOnlySeparatedNodesAreRefused: an account that may not list the nodes connects all the same, and a connection that
// fails meanwhile is an error.
func TestOnlySeparatedNodesAreRefused(t *testing.T) {
	t.Parallel()
	answer := func(err error) error {
		list := redis.NewStringCmd(t.Context())
		list.SetErr(err)
		return refuseSeparated(list)
	}
	require.NoError(t, answer(refusalReply("NOPERM this user has no permissions to run the 'cluster|nodes' command")))
	require.ErrorIs(t, answer(net.ErrClosed), net.ErrClosed)
}
