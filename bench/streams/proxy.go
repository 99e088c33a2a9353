package main

import (
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"time"
)

// postgresProxy passes the bytes between an instance and Postgres on, and notes when Postgres last answered. After a lone
// write that is when the commit was acknowledged, before the instance can know of it.
type postgresProxy struct {
	listener net.Listener
	target   string
	answered atomic.Int64 // nanoseconds since started

	mu      sync.Mutex
	closed  bool
	conns   []net.Conn
	passing sync.WaitGroup
}

// proxyBytes is the buffer of one direction: more than the answer to a write of one line.
const proxyBytes = 16 << 10

// startProxy starts a proxy before the server of a database URL, and returns the URL that leads through it.
func startProxy(databaseURL string) (_ *postgresProxy, throughURL string, err error) {
	parsed, err := url.Parse(databaseURL)
	if err != nil {
		return nil, "", err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, "", err
	}
	p := &postgresProxy{listener: listener, target: parsed.Host}
	parsed.Host = listener.Addr().String()
	p.passing.Go(p.accept)
	return p, parsed.String(), nil
}

func (p *postgresProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close() // the instance tries again
			continue
		}
		p.mu.Lock()
		if p.conns = append(p.conns, client, server); p.closed {
			_, _ = client.Close(), server.Close()
		}
		p.mu.Unlock()
		p.passing.Go(func() { p.pass(server, client, nil) })
		p.passing.Go(func() { p.pass(client, server, &p.answered) })
	}
}

// pass copies until one end is closed. at, unless nil, gets the time of each piece.
func (p *postgresProxy) pass(to, from net.Conn, at *atomic.Int64) {
	buffer := make([]byte, proxyBytes)
	for {
		n, err := from.Read(buffer)
		if at != nil && n > 0 {
			at.Store(int64(time.Since(started)))
		}
		if _, failed := to.Write(buffer[:n]); err != nil || failed != nil {
			_, _ = to.Close(), from.Close() // both directions end
			return
		}
	}
}

func (p *postgresProxy) close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	for _, conn := range p.conns {
		_ = conn.Close() // the other direction may have
	}
	p.mu.Unlock()
	p.passing.Wait()
	return err
}
