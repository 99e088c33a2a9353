package postgres

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Connections poll for the answers to large requests. The Go runtime checks the network
// when no goroutine is runnable, or after 10 ms. With hundreds of runnable callers an
// answer would wait while the database is idle. The runtime checks timers all the time,
// and a read deadline a moment ahead makes it check the network too. Gain: 5 to 10 % at
// 512 and 2,048 callers (docs/decisions.md, record 27). [dialect.Switches] NoPolling
// switches it off.

// Bounds of polling.
const (
	// pollFrom is the size from which the answer to a request is polled for, in bytes. A
	// batch of about a hundred callers has it.
	pollFrom = 16 << 10
	// pollEvery is the interval, and pollFor the time after which polling ends: longer than
	// such a transaction usually takes.
	pollEvery = 200 * time.Microsecond
	pollFor   = 50 * time.Millisecond
)

// pollingConn is a connection that polls for the answers to large requests. TLS, if any,
// is on top of it.
type pollingConn struct {
	net.Conn
	written  atomic.Int64 // bytes since the last read
	mu       sync.Mutex
	deadline time.Time // of reads, as the caller set it; zero: none
}

// polling makes the connections of a dialer poll.
func polling(dial pgconn.DialFunc) pgconn.DialFunc {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return &pollingConn{Conn: conn}, nil
	}
}

// Write implements net.Conn.
func (c *pollingConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n))
	return n, err
}

// Read implements net.Conn.
func (c *pollingConn) Read(b []byte) (int, error) {
	if c.written.Swap(0) < pollFrom {
		return c.Conn.Read(b)
	}
	began := time.Now()
	for now := began; now.Sub(began) < pollFor; now = time.Now() {
		deadline := c.readUntil(now.Add(pollEvery))
		n, err := c.Conn.Read(b)
		over := !deadline.IsZero() && !time.Now().Before(deadline)
		if n > 0 || over || !errors.Is(err, os.ErrDeadlineExceeded) {
			c.readUntil(time.Time{})
			return n, err
		}
	}
	c.readUntil(time.Time{})
	return c.Conn.Read(b)
}

// readUntil makes reads end at a time, or at the deadline that the caller set, whichever
// is sooner; the zero time is never. It returns the caller's deadline.
func (c *pollingConn) readUntil(at time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.IsZero() || !c.deadline.IsZero() && c.deadline.Before(at) {
		at = c.deadline
	}
	_ = c.Conn.SetReadDeadline(at) // fails when closed, as the read will
	return c.deadline
}

// SetDeadline implements net.Conn.
func (c *pollingConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *pollingConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.Conn.SetReadDeadline(t)
}
