package storetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	// groupLimit bounds each wait of a new group: until its nodes agree, its replicas follow, a Sentinel knows the others.
	groupLimit = 30 * time.Second
	// groupPoll is how often they are asked.
	groupPoll = 20 * time.Millisecond
	// clusterMasters share the slots.
	clusterMasters, clusterSlots = 3, 16384
	// sentinels watch a master, and sentinelMaster is its name for them; two agree that it is dead.
	sentinels, sentinelQuorum, sentinelMaster = 3, 2, "stock"

	kindSentinel = "sentinel"
	// sentinelReadyLine is what a Sentinel writes when it accepts connections.
	sentinelReadyLine = "Sentinel ID is"
)

// RedisGroup is several Redis servers that clients use as one.
type RedisGroup struct {
	// Nodes have the data: the masters first, then their replicas in the same order.
	Nodes     []*RedisServer
	sentinels []*server
	clients   []*redis.Client // of the nodes
	url       string
}

// URL is the group's address in the form REDIS_URL has, with the administrator's account.
func (g *RedisGroup) URL() string { return g.url }

// Close ends all servers.
func (g *RedisGroup) Close() error {
	var errs []error
	for _, client := range g.clients {
		errs = append(errs, client.Close())
	}
	for _, s := range g.sentinels {
		errs = append(errs, s.Close())
	}
	for _, node := range g.Nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(errs...)
}

// start starts one more node.
func (g *RedisGroup) start(opts ...Option) error {
	node, err := StartRedis(opts...)
	if err == nil {
		g.Nodes = append(g.Nodes, node)
		g.clients = append(g.clients, redis.NewClient(&redis.Options{Addr: node.Addr(), MaxRetries: -1, PoolSize: 1}))
	}
	return err
}

// RedisCluster returns a Redis Cluster of three masters for this test alone: its URL in the form REDIS_URL has, and the
// servers. They are closed when the test ends.
func RedisCluster(t testing.TB) (url string, servers []*RedisServer) {
	t.Helper()
	g, err := StartRedisCluster(t.Context(), 0, withoutScripts)
	requireServer(t, err)
	closeAtEnd(t, g.Close)
	return g.URL(), g.Nodes
}

// StartRedisCluster starts a Redis Cluster: three masters with so many replicas each. The caller must Close it.
func StartRedisCluster(ctx context.Context, replicas int, opts ...Option) (_ *RedisGroup, err error) {
	g := &RedisGroup{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("redis cluster: %w", err), g.Close())
		}
	}()
	for range clusterMasters * (1 + replicas) {
		if err := g.start(append([]Option{InCluster, WithSetting("repl-diskless-sync-delay", "0")}, opts...)...); err != nil {
			return nil, err
		}
		if err := g.join(ctx); err != nil {
			return nil, err
		}
	}
	if err := g.agree(ctx); err != nil {
		return nil, err
	}
	if err := g.replicate(ctx); err != nil {
		return nil, err
	}
	var addresses []string
	for _, node := range g.Nodes {
		addresses = append(addresses, node.Addr())
	}
	g.url = "redis:" + redisAdministrator + strings.Join(addresses, ",")
	return g, nil
}

// join introduces the newest node to the others. One of the first nodes gets its slots.
func (g *RedisGroup) join(ctx context.Context) error {
	newest := len(g.Nodes) - 1
	client := g.clients[newest]
	if newest < clusterMasters {
		first, next := newest*clusterSlots/clusterMasters, (newest+1)*clusterSlots/clusterMasters
		if err := client.ClusterAddSlotsRange(ctx, first, next-1).Err(); err != nil {
			return err
		}
	}
	if err := client.Do(ctx, "cluster", "set-config-epoch", newest+1).Err(); err != nil {
		return err
	}
	for _, other := range g.Nodes[:newest] {
		host, port, err := net.SplitHostPort(other.Addr())
		if err != nil {
			return err
		}
		if err := client.Do(ctx, "cluster", "meet", host, port, other.bus).Err(); err != nil {
			return err
		}
	}
	return nil
}

// agree waits until every node knows the whole cluster. A node drops messages for a node that it has no link to yet.
func (g *RedisGroup) agree(ctx context.Context) error {
	return g.await(ctx, "the nodes agree", g.clients, func(node *redis.Client) bool {
		info, links := node.ClusterInfo(ctx).Val(), node.ClusterNodes(ctx).Val()
		return strings.Contains(info, "cluster_state:ok") && strings.Count(links, " connected") == len(g.Nodes)
	})
}

// replicate makes the nodes after the masters replicas of them, and waits until they follow.
func (g *RedisGroup) replicate(ctx context.Context) error {
	for i, replica := range g.clients[clusterMasters:] {
		id, err := g.clients[i%clusterMasters].Do(ctx, "cluster", "myid").Text()
		if err != nil {
			return err
		}
		if err := replica.Do(ctx, "cluster", "replicate", id).Err(); err != nil {
			return err
		}
	}
	return g.await(ctx, "the replicas follow", g.clients[clusterMasters:], func(node *redis.Client) bool { return follows(ctx, node) })
}

func follows(ctx context.Context, node *redis.Client) bool {
	return strings.Contains(node.Info(ctx, "replication").Val(), "master_link_status:up")
}

func (g *RedisGroup) await(ctx context.Context, what string, nodes []*redis.Client, done func(*redis.Client) bool) error {
	ctx, cancel := context.WithTimeout(ctx, groupLimit)
	defer cancel()
	for _, node := range nodes {
		for ; !done(node); time.Sleep(groupPoll) {
			if ctx.Err() != nil {
				return fmt.Errorf("%s: not within %s: %w", what, groupLimit, ctx.Err())
			}
		}
	}
	return nil
}

// StartRedisSentinels starts a Redis master with a replica, and three Sentinels that watch it, with their defaults. The
// caller must Close it.
func StartRedisSentinels(ctx context.Context, opts ...Option) (_ *RedisGroup, err error) {
	g := &RedisGroup{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("redis with sentinels: %w", err), g.Close())
		}
	}()
	for range 2 {
		if err := g.start(append([]Option{WithSetting("repl-diskless-sync-delay", "0")}, opts...)...); err != nil {
			return nil, err
		}
	}
	host, port, err := net.SplitHostPort(g.Nodes[0].Addr())
	if err == nil {
		err = g.clients[1].ReplicaOf(ctx, host, port).Err()
	}
	if err == nil {
		err = g.await(ctx, "the replica follows", g.clients[1:], func(node *redis.Client) bool { return follows(ctx, node) })
	}
	if err != nil {
		return nil, err
	}
	var addresses []string
	for range sentinels {
		s, err := startSentinel(host, port)
		if err != nil {
			return nil, err
		}
		g.sentinels = append(g.sentinels, s)
		addresses = append(addresses, "127.0.0.1:"+strconv.Itoa(s.port))
	}
	g.url = "redis:" + redisAdministrator + strings.Join(addresses, ",") + "/0?master=" + sentinelMaster
	return g, g.sentinelsAgree(ctx, addresses)
}

// sentinelsAgree waits until the Sentinels know the replica and each other.
func (g *RedisGroup) sentinelsAgree(ctx context.Context, addresses []string) error {
	for _, address := range addresses {
		client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, PoolSize: 1})
		defer client.Close()
		err := g.await(ctx, "the Sentinels know the replica and each other", []*redis.Client{client}, func(*redis.Client) bool {
			master := redis.NewMapStringStringCmd(ctx, "sentinel", "master", sentinelMaster)
			return client.Process(ctx, master) == nil && master.Val()["num-slaves"] == "1" && master.Val()["num-other-sentinels"] == strconv.Itoa(sentinels-1)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// startSentinel starts a Sentinel for the master at host and port.
func startSentinel(host, port string) (*server, error) {
	programs, err := findRedis()
	if err != nil {
		return nil, err
	}
	s := &server{kind: kindSentinel, ready: sentinelReadyLine, gentleSignal: syscall.SIGTERM, deathSignal: syscall.SIGKILL}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	file := filepath.Join(s.directory, "sentinel.conf")
	s.command = func() *exec.Cmd {
		// A failure is that of the start: the program says that the file is missing.
		_ = os.WriteFile(file, fmt.Appendf(nil, "bind 127.0.0.1\nport %d\nsentinel monitor %s %s %s %d\n", s.port, sentinelMaster, host, port, sentinelQuorum), 0o600)
		return exec.Command(filepath.Join(programs, "redis-server"), file, "--sentinel")
	}
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}
