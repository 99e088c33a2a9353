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

// followMaster has a client that asks Sentinels leave a master that was replaced, with
// all of its connections. onReplaced is called before anything is sent to the new
// master.
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
	// connections need not be open any more: the collector removes those that the client has given up.
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

// askForMaster has both clients open a connection and close it again, so that the
// Sentinels are asked. Their message that the master was replaced may have been lost, and
// the old one may still answer.
func (c *Cache) askForMaster(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var asking sync.WaitGroup
	for _, client := range []redis.UniversalClient{c.reader, c.writer} {
		if asksSentinels(client) {
			asking.Go(func() {
				probe := client.Subscribe(ctx)
				_ = probe.Ping(ctx) // only the dial counts
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
