package serving

import (
	"context"
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

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store"
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

// TestShutdownDelay: a server that was told to stop says that it is not ready, still answers, ends each connection with
// its answer, and closes its listener after the delay.
func TestShutdownDelay(t *testing.T) {
	t.Parallel()
	var settings Settings
	parser, err := kong.New(&settings)
	require.NoError(t, err)
	const delay = 3 * time.Second
	_, err = parser.Parse([]string{"--shutdown-delay=" + delay.String()})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- Serve(ctx, listener, demoStore(t, store.Config{}), &settings, slog.New(slog.DiscardHandler))
	}()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	get := func(path string) (status int, closes bool) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+path, http.NoBody)
		require.NoError(t, err)
		answer, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, answer.Body.Close())
		return answer.StatusCode, answer.Close
	}
	status, closes := get("/graphql?query={__typename}")
	assert.Equal(t, http.StatusOK, status)
	assert.False(t, closes)
	status, _ = get(readyPath)
	assert.Equal(t, http.StatusOK, status)
	told := time.Now()
	stop()
	require.Eventually(t, func() bool { status, _ := get(readyPath); return status == http.StatusServiceUnavailable }, delay/2, time.Millisecond)
	status, closes = get("/graphql?query={__typename}")
	assert.Equal(t, http.StatusOK, status)
	assert.True(t, closes)
	require.NoError(t, <-served)
	assert.GreaterOrEqual(t, time.Since(told), delay)

	settings.ShutdownDelay = shutdownDelayMax + 1
	assert.ErrorContains(t, settings.Check(), "shutdown-delay 5m0.000000001s must be between 0s and 5m0s")
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
