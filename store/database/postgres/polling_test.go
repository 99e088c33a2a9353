package postgres

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pollingPair returns a connection that polls, and its other end.
func pollingPair(t *testing.T) (*pollingConn, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	conn, err := polling((&net.Dialer{}).DialContext)(t.Context(), "tcp", listener.Addr().String())
	require.NoError(t, err)
	other, err := listener.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { _, _ = conn.Close(), other.Close() })
	return conn.(*pollingConn), other
}

// ask sends a request whose answer is polled for, and reads it at the other end.
func ask(t *testing.T, conn, other net.Conn) {
	t.Helper()
	request := make([]byte, pollFrom)
	_, err := conn.Write(request)
	require.NoError(t, err)
	_, err = io.ReadFull(other, request)
	require.NoError(t, err)
}

// An answer arrives whole, at once, during polling, and after it. Polling leaves no
// state for the next read.
func TestPollingReads(t *testing.T) {
	t.Parallel()
	conn, other := pollingPair(t)
	for _, after := range []time.Duration{0, 3 * pollEvery, pollFor + 5*pollEvery} {
		ask(t, conn, other)
		time.AfterFunc(after, func() { _, _ = other.Write([]byte("answer")) })
		answer := make([]byte, 6)
		_, err := io.ReadFull(conn, answer)
		require.NoError(t, err, after)
		require.Equal(t, "answer", string(answer))
		time.AfterFunc(2*pollEvery, func() { _, _ = other.Write([]byte("!")) })
		n, err := conn.Read(answer)
		require.NoError(t, err, "after %v, polling left state for a small read", after)
		require.Equal(t, 1, n)
	}
}

// Deadlines take effect whether they are set before a read or during polling, and end
// when they are removed.
func TestPollingKeepsDeadlines(t *testing.T) {
	t.Parallel()
	conn, other := pollingPair(t)
	read := func() error { _, err := conn.Read(make([]byte, 1)); return err }

	ask(t, conn, other)
	require.NoError(t, conn.SetDeadline(time.Now().Add(5*pollEvery)))
	require.ErrorIs(t, read(), os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetDeadline(time.Time{}))

	ask(t, conn, other)
	time.AfterFunc(3*pollEvery, func() { _ = conn.SetReadDeadline(time.Now().Add(-time.Second)) })
	require.ErrorIs(t, read(), os.ErrDeadlineExceeded)
	require.NoError(t, conn.SetReadDeadline(time.Time{}))

	ask(t, conn, other)
	time.AfterFunc(3*pollEvery, func() { _ = conn.Close() })
	err := read()
	require.True(t, errors.Is(err, net.ErrClosed), "%v", err)
}

// Polling notices an answer while the process has enough other work. Without polling the
// runtime needs up to 10 ms.
func TestPollingInABusyProcess(t *testing.T) {
	conn, other := pollingPair(t)
	var (
		stop atomic.Bool
		work sync.WaitGroup
	)
	for range 64 * runtime.GOMAXPROCS(0) { // some are always runnable, like callers
		work.Go(func() {
			for !stop.Load() {
				for began := time.Now(); time.Since(began) < 10*time.Microsecond; {
				}
				runtime.Gosched()
			}
		})
	}
	defer func() {
		stop.Store(true)
		work.Wait()
	}()
	noticed := func(request int) time.Duration {
		var after []time.Duration
		for range 41 { // the median ignores pauses of the machine
			_, err := conn.Write(make([]byte, request))
			require.NoError(t, err)
			_, err = io.ReadFull(other, make([]byte, request))
			require.NoError(t, err)
			sent := make(chan time.Time, 1)
			time.AfterFunc(time.Millisecond, func() {
				sent <- time.Now()
				_, _ = other.Write([]byte("."))
			})
			_, err = conn.Read(make([]byte, 1))
			require.NoError(t, err)
			after = append(after, time.Since(<-sent))
		}
		slices.Sort(after)
		return after[len(after)/2]
	}
	const attempts = 5 // other processes may use the cores for a while
	for range attempts {
		large, small := noticed(pollFrom), noticed(1)
		t.Logf("noticed after %v, without polling after %v", large, small)
		if large < small/2 {
			return
		}
	}
	t.Fatal("polling notices an answer no sooner")
}
