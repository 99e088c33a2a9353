package storetest

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// clusterTimeout bounds the wait for the nodes of a new cluster to agree.
	clusterTimeout = 30 * time.Second
	// clusterPoll is how often they are asked.
	clusterPoll = 20 * time.Millisecond
)

// clusterSlots are the slots of each master.
var clusterSlots = [][2]int{{0, 5460}, {5461, 10922}, {10923, 16383}}

// RedisCluster returns a Redis Cluster of three masters for this test alone: its URL in the form REDIS_URL has, and the
// servers. They are closed when the test ends.
func RedisCluster(t testing.TB) (url string, servers []*RedisServer) {
	t.Helper()
	nodes := make([]*redis.Client, len(clusterSlots))
	addresses := make([]string, len(clusterSlots))
	for i, slots := range clusterSlots {
		server := Redis(t, WithSetting("cluster-enabled", "yes"))
		nodes[i] = redis.NewClient(&redis.Options{Addr: server.Addr()})
		defer nodes[i].Close()
		addresses[i], servers = server.Addr(), append(servers, server)
		clusterCommand(t, nodes[i].ClusterAddSlotsRange(t.Context(), slots[0], slots[1]).Err())
	}
	host, port, err := net.SplitHostPort(addresses[0])
	clusterCommand(t, err)
	for i, node := range nodes[1:] {
		clusterCommand(t, node.Do(t.Context(), "cluster", "set-config-epoch", i+2).Err())
		clusterCommand(t, node.ClusterMeet(t.Context(), host, port).Err())
	}
	deadline := time.Now().Add(clusterTimeout)
	for _, node := range nodes {
		for !agrees(t, node) {
			if time.Now().After(deadline) {
				t.Fatalf("storetest: the nodes of the cluster do not agree after %s", clusterTimeout)
			}
			time.Sleep(clusterPoll)
		}
	}
	return "redis:" + redisAdministrator + strings.Join(addresses, ","), servers
}

// agrees reports whether a node knows the whole cluster. A node drops messages for a node that it has no link to yet.
func agrees(t testing.TB, node *redis.Client) bool {
	info, links := node.ClusterInfo(t.Context()).Val(), node.ClusterNodes(t.Context()).Val()
	return strings.Contains(info, "cluster_state:ok") && strings.Count(links, " connected ") == len(clusterSlots)
}

func clusterCommand(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("storetest: redis cluster: %v", err)
	}
}
