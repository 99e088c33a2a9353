package rediscache

import (
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// clusterLimit bounds the wait for three nodes to agree that they are one.
const clusterLimit = 30 * time.Second

// startCluster makes a Redis Cluster of three masters and returns its URL and
// a client of each.
func startCluster(t *testing.T) (url string, nodes []*redis.Client) {
	t.Helper()
	url, nodes, _ = startClusterOf(t)
	return url, nodes
}

// startClusterOf gives the servers too.
func startClusterOf(t *testing.T) (url string, nodes []*redis.Client, servers []*storetest.RedisServer) {
	t.Helper()
	var addresses []string
	for range 3 {
		server := storetest.Redis(t, storetest.WithSetting("cluster-enabled", "yes"))
		nodes = append(nodes, rawClient(t, server.URL()))
		addresses, servers = append(addresses, server.Addr()), append(servers, server)
	}
	slots := [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}}
	host, port, err := net.SplitHostPort(addresses[0])
	require.NoError(t, err)
	for i, node := range nodes {
		require.NoError(t, node.ClusterAddSlotsRange(t.Context(), slots[i][0], slots[i][1]).Err())
		if i > 0 {
			require.NoError(t, node.Do(t.Context(), "cluster", "set-config-epoch", i+1).Err())
			require.NoError(t, node.ClusterMeet(t.Context(), host, port).Err())
		}
	}
	for _, node := range nodes {
		require.Eventually(t, func() bool {
			info := node.ClusterInfo(t.Context()).Val()
			return strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		}, clusterLimit, eventuallyTick)
	}
	return "redis://" + strings.Join(addresses, ","), nodes, servers
}

// TestCluster: every call works where the keys are spread over nodes, and a
// node that lost its scripts heals by itself.
func TestCluster(t *testing.T) {
	t.Parallel()
	url, nodes := startCluster(t)
	c := newCache(t, url, Config{Timeout: generous})
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
		require.Positive(t, node.DBSize(t.Context()).Val(), "each node has some")
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
	behind, err := c.Behind(t.Context(), changes, epoch)
	require.NoError(t, err)
	require.Equal(t, []string{names[7]}, behind)

	// A message published on whatever node is heard on any.
	published := subscribe(t, nodes[2], c.keys.StockChannel("*"), c.keys.ReservationChannel("*"))
	write(3)
	require.NoError(t, c.PublishReservation(t.Context(), names[:5]))
	require.Eventually(t, func() bool { // some twice, where the library sent a script again
		heard := slices.Clone(published())
		slices.Sort(heard)
		return len(heard) >= n+5 && len(slices.Compact(heard)) == n+1 // reservations have no message but their channel
	}, generous, eventuallyTick)

	require.NoError(t, c.SetMark(t.Context(), Mark{Epoch: epoch, Sequence: 12}))
	mark, err := c.Mark(t.Context())
	require.NoError(t, err)
	require.Equal(t, epoch, mark.Epoch)
	require.EqualValues(t, 12, mark.Sequence)
	require.Len(t, strings.Split(mark.RunIDs, ","), 3)
	require.Len(t, mark.RunIDs, 3*40+2)
	again, err := c.Mark(t.Context())
	require.NoError(t, err)
	require.Equal(t, mark, again)
}

// TestClusterFailover: a master dies and its replica takes its place. The client
// finds it as soon as a call has failed, not when its picture of the cluster is
// old.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	url, nodes, servers := startClusterOf(t)
	replica := storetest.Redis(t, storetest.WithSetting("cluster-enabled", "yes"))
	raw := rawClient(t, replica.URL())
	host, port, err := net.SplitHostPort(servers[2].Addr())
	require.NoError(t, err)
	require.NoError(t, raw.ClusterMeet(t.Context(), host, port).Err())
	master := nodes[2].Do(t.Context(), "cluster", "myid").Val().(string)
	require.Eventually(t, func() bool { return raw.ClusterReplicate(t.Context(), master).Err() == nil }, clusterLimit, eventuallyTick)
	for _, node := range append(nodes, raw) {
		require.Eventually(t, func() bool {
			return strings.Contains(node.ClusterInfo(t.Context()).Val(), "cluster_known_nodes:4") &&
				strings.Contains(raw.Info(t.Context(), "replication").Val(), "master_link_status:up")
		}, clusterLimit, eventuallyTick)
	}

	c := newCache(t, url, Config{Timeout: generous})
	ask := func() error { _, err := c.Get(t.Context(), epoch, ids(90)); return err }
	require.NoError(t, ask())
	require.NoError(t, servers[2].Kill())
	require.NoError(t, raw.Do(t.Context(), "cluster", "failover", "takeover").Err())
	for _, node := range nodes[:2] {
		require.Eventually(t, func() bool {
			text, _ := node.Do(t.Context(), "cluster", "nodes").Text()
			return strings.Contains(text, raw.Options().Addr) && !strings.Contains(lineOf(text, raw.Options().Addr), "slave")
		}, clusterLimit, eventuallyTick)
	}
	require.ErrorIs(t, ask(), ErrDown, "the picture is that of before")
	require.Eventually(t, func() bool { return ask() == nil }, topologyInterval/2, eventuallyTick)
}

// lineOf is the line that has these words.
func lineOf(text, words string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, words) {
			return line
		}
	}
	return ""
}
