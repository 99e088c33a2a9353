package serving

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSlowClients: the server closes the connection of a client that is slow with
// its headers or its body, sends too many headers, does not read its answer, or
// leaves the connection idle. The limits are the program's own, a tenth as long.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		for r.URL.Path == "/endless" {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				return
			}
		}
	}), nil, slog.New(slog.DiscardHandler))
	for _, limit := range []*time.Duration{&server.ReadHeaderTimeout, &server.ReadTimeout, &server.WriteTimeout, &server.IdleTimeout} {
		require.Positive(t, *limit)
		*limit /= 10
	}
	require.Positive(t, server.MaxHeaderBytes)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	const busy = 2 * time.Second
	const settingsTimeout = 2 * time.Second // of net/http, for the first frame
	var group sync.WaitGroup
	defer group.Wait()
	for name, client := range map[string]struct {
		sends string
		limit time.Duration
		want  string
	}{
		"half a header":    {"GET / HTTP/1.1\r\nHost: a\r\nX-", server.ReadHeaderTimeout, ""},
		"nothing":          {"", server.ReadHeaderTimeout, ""},
		"too much header":  {"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 2*headerBytesMax), server.ReadHeaderTimeout, "431"},
		"half a body":      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", server.ReadTimeout, ""},
		"half a preface":   {"PRI * HTTP/2.0\r\n\r\nS", server.ReadHeaderTimeout, ""},
		"a preface only":   {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", settingsTimeout, ""},
		"half HTTP/2":      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x20\x01\x04\x00\x00\x00\x01", server.IdleTimeout, ""},
		"no further asked": {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", server.IdleTimeout, "200 OK"},
	} {
		group.Go(func() {
			began := time.Now()
			conn, err := net.Dial("tcp", listener.Addr().String())
			if !assert.NoError(t, err, name) {
				return
			}
			defer conn.Close()
			assert.NoError(t, conn.SetDeadline(began.Add(client.limit+patience)))
			_, _ = fmt.Fprint(conn, client.sends) // the server may close before the end
			answer, err := io.ReadAll(conn)       // until the server closes
			var late net.Error
			assert.False(t, errors.As(err, &late) && late.Timeout(), "%s: the server waits on", name)
			assert.Contains(t, string(answer), client.want, name)
			assert.Less(t, time.Since(began), client.limit+busy, name)
		})
	}
	group.Go(func() { deaf(t, listener.Addr().String(), server.WriteTimeout+patience) })
}

// deaf asks for an endless answer, reads nothing, and waits until the server
// closes the connection.
func deaf(t *testing.T, address string, limit time.Duration) {
	conn, err := net.Dial("tcp", address)
	if !assert.NoError(t, err) {
		return
	}
	defer conn.Close()
	_, err = io.WriteString(conn, "GET /endless HTTP/1.1\r\nHost: a\r\n\r\n")
	assert.NoError(t, err)
	// A closed server answers later bytes with a reset, so that sending fails.
	assert.Eventually(t, func() bool {
		_, err := io.WriteString(conn, "x")
		return err != nil
	}, limit, 50*time.Millisecond, "the server writes on")
}
