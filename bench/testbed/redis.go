package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/store/storetest"
)

// The kinds of Redis that are compared.
const (
	OneRedis      = "one Redis"
	SentinelRedis = "master, replica, 3 Sentinels"
	ClusterRedis  = "Cluster: 3 masters, 3 replicas"
)

// RedisKinds are all of them.
var RedisKinds = []string{OneRedis, SentinelRedis, ClusterRedis}

// Redis is one Redis of some kind.
type Redis struct {
	// URL is its address in the form REDIS_URL has.
	URL string
	// Nodes are clients of the servers that have the data. The masters come first.
	Nodes   []*redis.Client
	close   func() error
	masters int
}

// StartRedis starts an empty Redis of a kind. The caller must Close it.
//
// Errors: storetest.ErrNotInstalled; servers that do not agree in time.
func StartRedis(ctx context.Context, kind string) (*Redis, error) {
	switch kind {
	case OneRedis:
		server, err := storetest.StartRedis()
		if err != nil {
			return nil, err
		}
		return newRedis(server.URL(), 1, server.Close, server), nil
	case SentinelRedis:
		group, err := storetest.StartRedisSentinels(ctx)
		if err != nil {
			return nil, err
		}
		return newRedis(group.URL(), 1, group.Close, group.Nodes...), nil
	case ClusterRedis:
		group, err := storetest.StartRedisCluster(ctx, 1)
		if err != nil {
			return nil, err
		}
		return newRedis(group.URL(), len(group.Nodes)/2, group.Close, group.Nodes...), nil
	}
	return nil, fmt.Errorf("%q is no kind of Redis; there are %s", kind, strings.Join(RedisKinds, ", "))
}

func newRedis(url string, masters int, closeServers func() error, servers ...*storetest.RedisServer) *Redis {
	r := &Redis{URL: url, masters: masters, close: closeServers}
	for _, server := range servers {
		r.Nodes = append(r.Nodes, redis.NewClient(&redis.Options{Addr: server.Addr(), PoolSize: 1}))
	}
	return r
}

// Masters are the nodes that take writes.
func (r *Redis) Masters() []*redis.Client { return r.Nodes[:r.masters] }

// CPU is the CPU time that each node has spent so far, by its own account.
func (r *Redis) CPU(ctx context.Context) (list []time.Duration, err error) {
	for _, node := range r.Nodes {
		info, err := node.Info(ctx, "cpu").Result()
		if err != nil {
			return nil, err
		}
		user, err := figureOf(info, "used_cpu_user")
		if err != nil {
			return nil, err
		}
		system, err := figureOf(info, "used_cpu_sys")
		if err != nil {
			return nil, err
		}
		list = append(list, time.Duration((user+system)*float64(time.Second)))
	}
	return list, nil
}

// Sent is how many bytes all nodes have sent, to clients and to each other.
func (r *Redis) Sent(ctx context.Context) (sum float64, err error) {
	for _, node := range r.Nodes {
		sent, err := RedisFigure(ctx, node, "stats", "total_net_output_bytes")
		if err != nil {
			return 0, err
		}
		sum += sent
	}
	return sum, nil
}

// Close ends its servers.
func (r *Redis) Close() error {
	var errs []error
	for _, node := range r.Nodes {
		errs = append(errs, node.Close())
	}
	return errors.Join(append(errs, r.close())...)
}
