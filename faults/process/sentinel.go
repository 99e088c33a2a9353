package process

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"onhand/faults/network"
	"onhand/faults/wait"
	"onhand/store/storetest"
)

const (
	// SentinelMaster is the name of the master.
	SentinelMaster = "stock"
	// sentinels watch it; two of three agree that it is dead.
	sentinels, sentinelQuorum = 3, 2
	// sentinelDown is after how long without an answer a Sentinel takes the master for dead. The default is 30 s; a busy machine stalls for a second.
	sentinelDown = 2 * time.Second
	// sentinelFailover bounds one attempt to fail over.
	sentinelFailover = 6 * time.Second
)

// SentinelRedis is a Redis master with a replica, and three Sentinels that watch it.
type SentinelRedis struct {
	t         testing.TB
	nodes     [2]*storetest.RedisServer
	addresses []string // of the Sentinels
	clients   []*redis.Client
}

// NewSentinelRedis starts them, and waits until the replica follows and the Sentinels know it and each other. newHost, unless
// nil, makes a host for each of the nodes and Sentinels.
func NewSentinelRedis(t testing.TB, newHost func() *network.Host) *SentinelRedis {
	t.Helper()
	program, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("skipped: no redis-server on the PATH")
	}
	s := &SentinelRedis{t: t}
	for n := range s.nodes {
		options := []storetest.Option{storetest.WithSetting("repl-diskless-sync-delay", "0")}
		if newHost != nil {
			options = append(options, ServerOn(newHost()))
		}
		s.nodes[n] = storetest.Redis(t, options...)
	}
	ctx, cancel := context.WithTimeout(context.Background(), clusterLimit)
	defer cancel()
	host, port, _ := net.SplitHostPort(s.nodes[0].Addr())
	s.follow(ctx, host, port)
	for n := range sentinels {
		address, bound := freeAddress(t), "127.0.0.1"
		_, own, _ := net.SplitHostPort(address)
		var sentinelHost *network.Host
		if newHost != nil {
			sentinelHost = newHost()
			bound = sentinelHost.Address.String()
			address = net.JoinHostPort(bound, own)
		}
		file := filepath.Join(t.TempDir(), fmt.Sprintf("sentinel%d.conf", n))
		writeFile(t, file, fmt.Sprintf("bind %s\nprotected-mode no\nport %s\nsentinel monitor %s %s %s %d\nsentinel down-after-milliseconds %s %d\nsentinel failover-timeout %s %d\n%s",
			bound, own, SentinelMaster, host, port, sentinelQuorum, SentinelMaster, sentinelDown.Milliseconds(), SentinelMaster, sentinelFailover.Milliseconds(), s.account()))
		runProgram(t, "sentinel", sentinelHost, exec.Command(program, file, "--sentinel"))
		client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1, PoolSize: 1, DialTimeout: time.Second, ReadTimeout: time.Second})
		t.Cleanup(func() { _ = client.Close() }) // the Sentinel ends too
		s.addresses, s.clients = append(s.addresses, address), append(s.clients, client)
	}
	for _, client := range s.clients {
		wait.Until(t, clusterLimit, "the Sentinels know the replica and each other", func() bool {
			master := redis.NewMapStringStringCmd(ctx, "sentinel", "master", SentinelMaster)
			return client.Process(ctx, master) == nil && master.Val()["num-slaves"] == "1" && master.Val()["num-other-sentinels"] == fmt.Sprint(sentinels-1)
		})
	}
	return s
}

// follow makes the second node a replica of the first.
func (s *SentinelRedis) follow(ctx context.Context, host, port string) {
	s.t.Helper()
	for n, node := range s.nodes {
		options, err := redis.ParseURL(node.URL())
		if err != nil {
			s.t.Fatal(err)
		}
		client := redis.NewClient(options)
		if options.Password != "" { // either may become the replica
			s.must(client.ConfigSet(ctx, "masteruser", options.Username).Err())
			s.must(client.ConfigSet(ctx, "masterauth", options.Password).Err())
		}
		if n == 1 {
			s.must(client.ReplicaOf(ctx, host, port).Err())
			wait.Until(s.t, clusterLimit, "the replica follows", func() bool {
				return strings.Contains(client.Info(ctx, "replication").Val(), "master_link_status:up")
			})
		}
		_ = client.Close() // only to set it up
	}
}

// account is what a Sentinel's configuration says of the account of the nodes.
func (s *SentinelRedis) account() string {
	u, err := url.Parse(s.nodes[0].URL())
	s.must(err)
	password, set := u.User.Password()
	if !set {
		return ""
	}
	return fmt.Sprintf("sentinel auth-user %s %s\nsentinel auth-pass %s %s\n", SentinelMaster, u.User.Username(), SentinelMaster, password)
}

func (s *SentinelRedis) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("redis with sentinels: %v", err)
	}
}

// Addresses are those of the Sentinels.
func (s *SentinelRedis) Addresses() []string { return s.addresses }

// URL names the Sentinels, in the form REDIS_URL has.
func (s *SentinelRedis) URL() string {
	return strings.Replace(s.nodes[0].URL(), s.nodes[0].Addr(), strings.Join(s.addresses, ","), 1) + "?master=" + SentinelMaster
}

// Master is the node that the Sentinels take for the master; nil when none of them answers.
func (s *SentinelRedis) Master() *storetest.RedisServer {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, client := range s.clients {
		address, err := client.Do(ctx, "sentinel", "get-master-addr-by-name", SentinelMaster).StringSlice()
		if err != nil || len(address) != 2 {
			continue
		}
		for _, node := range s.nodes {
			if node.Addr() == net.JoinHostPort(address[0], address[1]) {
				return node
			}
		}
	}
	return nil
}

// Replicas is how many replicas the master has that follow it.
func (s *SentinelRedis) Replicas() int {
	master := s.Master()
	if master == nil {
		return 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	options, err := redis.ParseURL(master.URL())
	s.must(err)
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }() // only for this question
	return strings.Count(client.Info(ctx, "replication").Val(), "state=online")
}

// SentinelHosts are the hosts of the Sentinels, without their ports.
func (s *SentinelRedis) SentinelHosts() (list []netip.Addr) {
	for _, address := range s.addresses {
		list = append(list, netip.MustParseAddrPort(address).Addr())
	}
	return list
}

// Other is the node beside this one.
func (s *SentinelRedis) Other(node *storetest.RedisServer) *storetest.RedisServer {
	if node == s.nodes[0] {
		return s.nodes[1]
	}
	return s.nodes[0]
}
