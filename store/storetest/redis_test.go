package storetest

import (
	"bufio"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// ask sends one inline command on a connection of its own and returns the first line of the answer.
func ask(t *testing.T, server *RedisServer, command string) string {
	t.Helper()
	connection, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err)
	defer connection.Close()
	require.NoError(t, connection.SetDeadline(time.Now().Add(databaseLimit)))
	return exchange(t, connection, command)
}

func exchange(t *testing.T, connection net.Conn, command string) string {
	t.Helper()
	_, err := fmt.Fprintf(connection, "%s\r\n", command)
	require.NoError(t, err)
	line, err := bufio.NewReader(connection).ReadString('\n')
	require.NoError(t, err)
	return strings.TrimSpace(line)
}

func TestRedisAnswers(t *testing.T) {
	t.Parallel()
	server, other := Redis(t), Redis(t)
	require.NotEqual(t, server.Addr(), other.Addr())
	require.Equal(t, "redis://default:tests@"+server.Addr()+"/0", server.URL())
	require.Equal(t, "+OK", ask(t, server, "SET stock 7"))
	require.Equal(t, "$-1", ask(t, other, "GET stock"))
}

// TestRedisRestarts: without persistence a server starts empty; with it, it does not. The address stays.
func TestRedisRestarts(t *testing.T) {
	t.Parallel()
	volatile := Redis(t)
	durable := Redis(t, WithSetting("appendonly", "yes"), WithSetting("appendfsync", "always"))
	for _, c := range []struct {
		server *RedisServer
		end    func() error
		want   string
	}{
		{volatile, volatile.Stop, ":0"}, {volatile, volatile.Kill, ":0"},
		{durable, durable.Stop, ":1"}, {durable, durable.Kill, ":1"},
	} {
		require.Equal(t, "+OK", ask(t, c.server, "SET stock 7"))
		require.NoError(t, c.end())
		_, err := net.Dial("tcp", c.server.Addr())
		require.Error(t, err)
		require.NoError(t, c.server.Start())
		require.Equal(t, c.want, ask(t, c.server, "EXISTS stock"))
	}
}

func TestRedisFreeze(t *testing.T) {
	t.Parallel()
	server := Redis(t)
	require.NoError(t, server.Freeze())
	connection, err := net.Dial("tcp", server.Addr())
	require.NoError(t, err, "the kernel accepts for a frozen server")
	defer connection.Close()
	answered := make(chan string, 1)
	go func() { answered <- exchange(t, connection, "PING") }()
	select {
	case answer := <-answered:
		require.Fail(t, "a frozen server answered", answer)
	case <-time.After(100 * time.Millisecond):
	}
	require.NoError(t, server.Thaw())
	require.Equal(t, "+PONG", <-answered)
	require.NoError(t, server.Freeze()) // Close must end a frozen server
}

func BenchmarkRedisStart(b *testing.B) {
	for b.Loop() {
		server, err := StartRedis()
		requireServer(b, err)
		if err := server.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// TestBusPortTaken: a node of a cluster whose bus cannot have its port gets other ports.
func TestBusPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	drawn := 0
	server, err := StartRedis(InCluster, func(o *options) {
		o.draw = func() (int, error) {
			if drawn++; drawn == 2 { // the bus of the first attempt
				return taken.Addr().(*net.TCPAddr).Port, nil
			}
			return freePort()
		}
	})
	requireServer(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	require.GreaterOrEqual(t, drawn, 4)
}

// TestRedisGroups: a cluster of six serves all slots, and the Sentinels name the master of a pair; replicas get what their
// masters have.
func TestRedisGroups(t *testing.T) {
	t.Parallel()
	cluster, err := StartRedisCluster(t.Context(), 1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, cluster.Close()) })
	require.Len(t, cluster.Nodes, 6)
	for _, node := range cluster.Nodes {
		require.Contains(t, cluster.URL(), node.Addr())
	}
	pair, err := StartRedisSentinels(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, pair.Close()) })
	require.Len(t, pair.Nodes, 2)
	require.Contains(t, pair.URL(), "?master="+sentinelMaster)
	for _, sentinel := range pair.sentinels {
		client := redis.NewSentinelClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", sentinel.port)})
		t.Cleanup(func() { require.NoError(t, client.Close()) })
		address, err := client.GetMasterAddrByName(t.Context(), sentinelMaster).Result()
		require.NoError(t, err)
		require.Equal(t, pair.Nodes[0].Addr(), strings.Join(address, ":"))
	}
	served := 0
	for i, master := range [][2]*RedisServer{
		{cluster.Nodes[0], cluster.Nodes[3]}, {cluster.Nodes[1], cluster.Nodes[4]}, {cluster.Nodes[2], cluster.Nodes[5]}, {pair.Nodes[0], pair.Nodes[1]},
	} {
		if ask(t, master[0], "SET stock 7") != "+OK" {
			continue // another master of the cluster has the slot
		}
		served++
		require.Eventually(t, func() bool { return ask(t, master[1], "DBSIZE") == ":1" }, databaseLimit, pollEvery, "replica %d", i)
	}
	require.Equal(t, 2, served)
}
