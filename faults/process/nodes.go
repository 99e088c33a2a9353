package process

import (
	"context"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/faults/wait"
	"onhand/store/storetest"
)

// listening matches a client in CLIENT LIST that listens to channels by their names: the subscription of a hub. That of a
// near cache is a pattern.
var listening = regexp.MustCompile(`^id=(\d+) .* name=onhand .* sub=[1-9]\d* psub=0 `)

// ListenedMaster is a master that has the subscription of a hub. A hub is at any of the nodes; those at replicas are
// disconnected until one is at a master.
func (c *Cluster) ListenedMaster(ctx context.Context) *storetest.RedisServer {
	c.t.Helper()
	for ; ctx.Err() == nil; time.Sleep(wait.PollEvery) {
		for n, client := range c.clients {
			subscriptions := subscriptionsAt(ctx, client)
			if len(subscriptions) > 0 && c.isMaster(ctx, client) {
				return c.nodes[n]
			}
			for _, id := range subscriptions {
				client.ClientKillByFilter(ctx, "id", id)
			}
		}
	}
	c.t.Fatal("redis cluster: no hub listens to a master")
	return nil
}

// subscriptionsAt are the ids of the hubs' connections to a node.
func subscriptionsAt(ctx context.Context, client *redis.Client) (ids []string) {
	list, _ := client.ClientList(ctx).Result() // a dead node has none
	for line := range strings.Lines(list) {
		if found := listening.FindStringSubmatch(line); found != nil {
			ids = append(ids, found[1])
		}
	}
	return ids
}

func (c *Cluster) isMaster(ctx context.Context, client *redis.Client) bool {
	return strings.Contains(client.Info(ctx, "replication").Val(), "role:master")
}

// ReplacedByOthers reports whether the other nodes have given the slots of a master to its replica, whatever it says itself.
func (c *Cluster) ReplacedByOthers(before *storetest.RedisServer) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return slices.ContainsFunc(c.clients, func(client *redis.Client) bool {
		//lint:ignore SA1019 CLUSTER SLOTS names the master of a range first; CLUSTER SHARDS also lists a master that failed
		ranges, err := client.ClusterSlots(ctx).Result()
		return err == nil && len(ranges) >= clusterMasters && c.clients[c.number(before)] != client &&
			!slices.ContainsFunc(ranges, func(r redis.ClusterSlot) bool { return c.masterOfRange(r) == before })
	})
}

// Follows reports whether a node is a replica that follows its master.
func (c *Cluster) Follows(node *storetest.RedisServer) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	replication := c.clients[c.number(node)].Info(ctx, "replication").Val()
	return strings.Contains(replication, "role:slave") && strings.Contains(replication, "master_link_status:up")
}

// Others are the hosts of the other nodes, without their ports.
func (c *Cluster) Others(node *storetest.RedisServer) (list []netip.Addr) {
	for _, other := range c.nodes {
		if other != node {
			list = append(list, netip.MustParseAddrPort(other.Addr()).Addr())
		}
	}
	return list
}
