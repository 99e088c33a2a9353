package rediscache

import (
	"context"
	"net"
	"sync"
	"weak"

	"github.com/redis/go-redis/v9"
)

// failoverAddress is what go-redis gives as the address of a client that asks Sentinels.
const failoverAddress = "FailoverClient"

// followMaster closes every connection to a master that was replaced, of a client that
// asks Sentinels. onReplaced is called before anything is sent to the new master.
//
// The library closes the connections of its pool when the Sentinels name another master,
// and none with a subscription. A master that only the Sentinels do not reach would go on
// answering its pings for as long, and send no message.
func followMaster(client redis.UniversalClient, onReplaced func()) {
	if asksSentinels(client) {
		client.AddHook(&masterHook{connections: map[weak.Pointer[net.TCPConn]]string{}, onReplaced: onReplaced})
	}
}

// masterHook knows the connections of one client by their addresses.
type masterHook struct {
	onReplaced func() // may be nil

	mu      sync.Mutex
	address string // of the master; empty before the first connection
	// connections are those to the master. Connections that the client has dropped stay here
	// until the next dial.
	connections map[weak.Pointer[net.TCPConn]]string
}

// DialHook implements [redis.Hook]: each dial asks a Sentinel for the address.
func (m *masterHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		connection, err := next(ctx, network, address)
		if err == nil {
			m.connected(connection)
		}
		return connection, err
	}
}

// ProcessHook implements [redis.Hook].
func (m *masterHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements [redis.Hook].
func (m *masterHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// connected notes a connection. The first one to another master closes those to the one
// before.
func (m *masterHook) connected(connection net.Conn) {
	address := connection.RemoteAddr().String()
	m.mu.Lock()
	replaced := m.address != "" && m.address != address
	m.address = address
	var old []*net.TCPConn
	for pointer, to := range m.connections {
		switch tcp := pointer.Value(); {
		case tcp == nil:
			delete(m.connections, pointer)
		case to != address:
			delete(m.connections, pointer)
			old = append(old, tcp)
		}
	}
	if tcp, ok := underlying(connection).(*net.TCPConn); ok {
		m.connections[weak.Make(tcp)] = address
	}
	m.mu.Unlock()
	if replaced && m.onReplaced != nil {
		m.onReplaced()
	}
	for _, tcp := range old {
		_ = tcp.Close() // it may be closed already
	}
}

// underlying is the TCP connection of a TLS one.
func underlying(connection net.Conn) net.Conn {
	if secure, ok := connection.(interface{ NetConn() net.Conn }); ok {
		return secure.NetConn()
	}
	return connection
}

// ConfirmMaster has both clients ask the Sentinels whether the master is still the one that
// they use, and follow them. The Sentinels' message that it was replaced may have been lost,
// and the old one may still answer. It takes at most CacheConfig.Timeout, and does nothing
// without Sentinels.
func (c *Cache) ConfirmMaster(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, client := range []redis.UniversalClient{c.reader, c.writer} {
		if asksSentinels(client) {
			asking.Go(func() {
				probe := client.Subscribe(ctx) // its dial asks
				_ = probe.Ping(ctx)            // what it answers does not count
				_ = probe.Close()
			})
		}
	}
	asking.Wait()
}

// asksSentinels reports whether Sentinels name the master of a client.
func asksSentinels(client redis.UniversalClient) bool {
	single, ok := client.(*redis.Client)
	return ok && single.Options().Addr == failoverAddress
}
