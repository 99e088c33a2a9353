package process

import (
	"context"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/faults/network"
	"onhand/faults/wait"
	"onhand/store/storetest"
)

const (
	// clusterMasters share the slots; each has one replica.
	clusterMasters = 3
	clusterSlots   = 16384
	// nodeTimeout is after how long without an answer the nodes take one of them for dead. With the default of 15 s the
	// cluster would lack a part of its slots for as long, whatever its clients do.
	nodeTimeout = 750 * time.Millisecond
	// slotKeysMax is how many keys are moved before more are listed; migrateLimit bounds one.
	slotKeysMax  = 100
	migrateLimit = 2 * time.Second
	// clusterLimit bounds the start of a cluster.
	clusterLimit = 30 * time.Second
)

// Cluster is a Redis Cluster: three masters with a replica each, on ports of their own.
type Cluster struct {
	t       testing.TB
	nodes   []*storetest.RedisServer // the masters of the start first, then their replicas, in the same order
	clients []*redis.Client
}

// NewCluster starts the nodes and joins them. newHost, unless nil, makes a host for each.
func NewCluster(t testing.TB, newHost func() *network.Host) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 2 * clusterMasters {
		options := []storetest.Option{storetest.InCluster,
			storetest.WithSetting("cluster-node-timeout", strconv.FormatInt(nodeTimeout.Milliseconds(), 10)),
			storetest.WithSetting("repl-diskless-sync-delay", "0")}
		if newHost != nil {
			host := newHost()
			options = append(options, ServerOn(host), storetest.WithSetting("cluster-announce-ip", host.Address.String()))
		}
		node := storetest.Redis(t, options...)
		client := redis.NewClient(&redis.Options{Addr: node.Addr(), MaxRetries: -1, PoolSize: 1, DialTimeout: time.Second, ReadTimeout: time.Second})
		t.Cleanup(func() { _ = client.Close() }) // the node ends too
		c.nodes, c.clients = append(c.nodes, node), append(c.clients, client)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterLimit)
	defer cancel()
	c.join(ctx)
	return c
}

// join gives the masters their slots, introduces all nodes to each other, and attaches the replicas.
func (c *Cluster) join(ctx context.Context) {
	c.t.Helper()
	for i, client := range c.clients {
		if i < clusterMasters {
			c.must(client.ClusterAddSlotsRange(ctx, i*clusterSlots/clusterMasters, (i+1)*clusterSlots/clusterMasters-1).Err())
		}
		c.must(client.Do(ctx, "cluster", "set-config-epoch", i+1).Err())
		for n, other := range c.nodes[:i] {
			host, port, _ := net.SplitHostPort(other.Addr())
			c.must(client.Do(ctx, "cluster", "meet", host, port, c.busPort(ctx, n)).Err())
		}
	}
	c.awaitAll(ctx, "all nodes know each other", func(client *redis.Client) bool {
		return strings.Contains(client.ClusterInfo(ctx).Val(), "cluster_known_nodes:"+strconv.Itoa(len(c.nodes)))
	})
	for i, replica := range c.clients[clusterMasters:] {
		id, err := c.clients[i].Do(ctx, "cluster", "myid").Text()
		c.must(err)
		for replica.Do(ctx, "cluster", "replicate", id).Err() != nil && ctx.Err() == nil { // until it has heard of that master
			time.Sleep(wait.PollEvery)
		}
	}
	c.awaitAll(ctx, "the cluster serves", func(client *redis.Client) bool {
		info, replication := client.ClusterInfo(ctx).Val(), client.Info(ctx, "replication").Val()
		return strings.Contains(info, "cluster_state:ok") &&
			(strings.Contains(replication, "connected_slaves:1") || strings.Contains(replication, "master_link_status:up"))
	})
}

// busPort is where a node speaks with the others.
func (c *Cluster) busPort(ctx context.Context, n int) string {
	port, err := c.clients[n].ConfigGet(ctx, "cluster-port").Result()
	c.must(err)
	return port["cluster-port"]
}

// awaitAll waits until every node is done.
func (c *Cluster) awaitAll(ctx context.Context, what string, done func(*redis.Client) bool) {
	c.t.Helper()
	for _, client := range c.clients {
		for !done(client) {
			if ctx.Err() != nil {
				c.t.Fatalf("redis cluster: %s: not within %s", what, clusterLimit)
			}
			time.Sleep(wait.PollEvery)
		}
	}
}

func (c *Cluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("redis cluster: %v", err)
	}
}

// Addresses are those of all nodes.
func (c *Cluster) Addresses() (list []string) {
	for _, node := range c.nodes {
		list = append(list, node.Addr())
	}
	return list
}

// URL names all nodes, in the form REDIS_URL has, with the administrator's account.
func (c *Cluster) URL() string {
	return strings.Replace(c.nodes[0].URL(), c.nodes[0].Addr()+"/0", strings.Join(c.Addresses(), ","), 1)
}

// MasterOf is the node that serves a key now.
func (c *Cluster) MasterOf(ctx context.Context, key string) *storetest.RedisServer {
	c.t.Helper()
	for ; ctx.Err() == nil; time.Sleep(wait.PollEvery) {
		for _, client := range c.clients {
			if node := c.masterBy(ctx, client, key); node != nil {
				return node
			}
		}
	}
	c.t.Fatalf("redis cluster: no node serves %s", key)
	return nil
}

// Replaced reports whether any node knows of another master of a key than the one before.
func (c *Cluster) Replaced(before *storetest.RedisServer, key string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return slices.ContainsFunc(c.clients, func(client *redis.Client) bool {
		node := c.masterBy(ctx, client, key)
		return node != nil && node != before
	})
}

// masterBy is the master of a key in the view of one node; nil when that node is dead.
func (c *Cluster) masterBy(ctx context.Context, client *redis.Client, key string) *storetest.RedisServer {
	slot, slotErr := client.ClusterKeySlot(ctx, key).Result()
	//lint:ignore SA1019 CLUSTER SLOTS names the master of a range first; CLUSTER SHARDS also lists a master that failed
	ranges, rangesErr := client.ClusterSlots(ctx).Result()
	if slotErr != nil || rangesErr != nil {
		return nil
	}
	for _, r := range ranges {
		if node := c.masterOfRange(r); node != nil && int(slot) >= r.Start && int(slot) <= r.End {
			return node
		}
	}
	return nil
}

// masterOfRange finds the node that serves a range of slots by its port: a node need not know its own address.
func (c *Cluster) masterOfRange(r redis.ClusterSlot) *storetest.RedisServer {
	if len(r.Nodes) == 0 {
		return nil
	}
	_, port, _ := net.SplitHostPort(r.Nodes[0].Addr)
	for _, node := range c.nodes {
		if strings.HasSuffix(node.Addr(), ":"+port) {
			return node
		}
	}
	return nil
}

// MoveSlot gives the slot of a key to another master, with its keys, as a resharding does. Clients meanwhile get MOVED and
// ASK.
func (c *Cluster) MoveSlot(ctx context.Context, key string) {
	c.t.Helper()
	slot, err := c.clients[0].ClusterKeySlot(ctx, key).Result()
	c.must(err)
	from := c.number(c.MasterOf(ctx, key))
	to := (from + 1) % clusterMasters
	ids := map[int]string{}
	for _, n := range []int{from, to} {
		ids[n], err = c.clients[n].Do(ctx, "cluster", "myid").Text()
		c.must(err)
	}
	c.must(c.clients[to].Do(ctx, "cluster", "setslot", slot, "importing", ids[from]).Err())
	c.must(c.clients[from].Do(ctx, "cluster", "setslot", slot, "migrating", ids[to]).Err())
	host, port, _ := net.SplitHostPort(c.nodes[to].Addr())
	for keys := []string{""}; len(keys) > 0; {
		keys, err = c.clients[from].ClusterGetKeysInSlot(ctx, int(slot), slotKeysMax).Result()
		c.must(err)
		for _, name := range keys {
			c.must(c.clients[from].Do(ctx, "migrate", host, port, name, 0, migrateLimit.Milliseconds(), "replace").Err())
		}
	}
	for _, n := range []int{to, from} {
		c.must(c.clients[n].Do(ctx, "cluster", "setslot", slot, "node", ids[to]).Err())
	}
}

// number is that of a node.
func (c *Cluster) number(node *storetest.RedisServer) int { return slices.Index(c.nodes, node) }
