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

// Bounds of polling.
const (
	// pollFrom is how large a request is whose answer is polled for, in bytes: what
	// some hundred callers ask for together.
	pollFrom = 16 << 10
	// pollEvery is how often the answer is looked for, and pollFor how long: longer
	// than a transaction of such a request takes as a rule.
	pollEvery = 200 * time.Microsecond
	pollFor   = 50 * time.Millisecond
)

// pollingConn is a connection that polls for the answers to large requests. The
// runtime looks at the network when it has nothing else to run, or after 10 ms: with
// hundreds of callers at work an answer would lie there, and the database be idle.
// Timers it looks at all the time, so a deadline a moment ahead has it look at the
// network too. TLS, if any, is on top of this.
type pollingConn struct {
	net.Conn
	written  atomic.Int64 // bytes since the last read
	mu       sync.Mutex
	deadline time.Time // of reads, as set from outside; zero: none
}

// polling has a dialer's connections poll.
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

// readUntil has reads end at a time, or at the deadline set from outside where that is
// sooner; the zero time is never. It returns that deadline.
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
