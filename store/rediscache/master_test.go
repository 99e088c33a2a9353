package rediscache

import (
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest"
)

// startSentinel starts a server that answers like a Sentinel, and names the master that it is given. It sends no message
// when another one is named.
func startSentinel(t *testing.T, master *atomic.Pointer[string]) string {
	t.Helper()
	sentinel := miniredis.RunT(t)
	require.NoError(t, sentinel.Server().Register("SENTINEL", func(peer *server.Peer, _ string, args []string) {
		if !strings.EqualFold(args[0], "get-master-addr-by-name") {
			peer.WriteLen(0) // no other Sentinel
			return
		}
		host, port, _ := strings.Cut(*master.Load(), ":")
		peer.WriteLen(2)
		peer.WriteBulk(host)
		peer.WriteBulk(port)
	}))
	return sentinel.Addr()
}

// TestReplacedMasterIsLeft: the Sentinels name another master, and their message of it is lost. The old one still answers.
// ConfirmMaster leaves it, with the subscription, and says so before anything is read from the new one.
func TestReplacedMasterIsLeft(t *testing.T) {
	t.Parallel()
	before, after := storetest.Redis(t).Addr(), storetest.Redis(t).Addr()
	var named atomic.Pointer[string]
	named.Store(&before)
	reader, writer, err := NewClients("redis://"+startSentinel(t, &named)+"?master=stock", generous)
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	var replaced atomic.Int64
	c := New(CacheConfig{Reader: reader, Writer: writer, Timeout: generous, OnReplaced: func() { replaced.Add(1) }})

	c.ConfirmMaster(t.Context())
	subscription := reader.Subscribe(t.Context(), "changes")
	t.Cleanup(func() { _ = subscription.Close() })
	_, err = subscription.Receive(t.Context())
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() {
		_, err := subscription.Receive(t.Context())
		ended <- err
	}()
	c.ConfirmMaster(t.Context())
	require.Zero(t, replaced.Load(), "the master is the same")

	named.Store(&after)
	c.ConfirmMaster(t.Context())
	require.EqualValues(t, 2, replaced.Load(), "once for the reader and once for the writer")
	select {
	case err := <-ended:
		require.Error(t, err, "no message comes any more")
	case <-time.After(generous):
		require.Fail(t, "the subscription is still at the old master")
	}
	require.Equal(t, after, masterOf(t, reader), "the pool has left it too")
	require.Equal(t, after, masterOf(t, writer))
}

// TestLateDial: a dial that was given the old master's address ends after one to the new master. Its connection is refused,
// and those to the new master stay.
func TestLateDial(t *testing.T) {
	t.Parallel()
	dialled := func(address string) net.Conn {
		connection, err := net.Dial("tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = connection.Close() })
		return connection
	}
	before, after := storetest.Redis(t).Addr(), storetest.Redis(t).Addr()
	replaced := 0
	s := &servers{connections: map[weak.Pointer[net.TCPConn]]string{}}
	connect := func(address string, dial int) error {
		return s.connected(dialled(address), dial, func() { replaced++ })
	}
	require.NoError(t, connect(before, s.dialBegins()))
	late := s.dialBegins()
	require.NoError(t, connect(after, s.dialBegins()))
	require.ErrorIs(t, connect(before, late), errReplaced)
	require.Equal(t, after, s.master)
	require.Equal(t, 1, replaced)
	require.NoError(t, connect(after, late), "it was given the new master")
	require.NoError(t, connect(before, s.dialBegins()), "the old one is the master again")
	require.Equal(t, 2, replaced)
}

// masterOf is the port that the server behind a client has.
func masterOf(t *testing.T, client redis.UniversalClient) string {
	t.Helper()
	port, err := client.ConfigGet(t.Context(), "port").Result()
	require.NoError(t, err)
	return "127.0.0.1:" + port["port"]
}
