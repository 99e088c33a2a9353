package serving

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/graph/transport/admission"
)

// usual are the defaults of the settings.
var usual = socketSettings{
	ConnectionsMax: 20_000, StreamsMax: 20_000, StreamsPerAddress: 500, StreamOperations: 256, OperationsPerAddress: 2_000,
	SocketMessageBytes: 64 << 10, SocketMessagesPerSecond: 100, StreamLifetime: time.Hour,
}

// TestSocketSettings: no bound may be left out, and the defaults are those of transport.
func TestSocketSettings(t *testing.T) {
	t.Parallel()
	require.NoError(t, usual.check())
	require.NoError(t, (&socketSettings{}).check(), "0 stands for the default")
	assert.Equal(t, admission.DefaultStreamBounds(), usual.bounds(nil))
	bounds := usual.bounds(ratelimit.New(ratelimit.LimiterConfig{ExemptNetworks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}))
	assert.True(t, bounds.ByAddress)
	for remote, exempt := range map[string]bool{"192.0.2.7:1": true, "198.51.100.7:1": false} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.RemoteAddr = remote
		guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, exempt, bounds.Exempt(r.Context()), remote)
		}), guard.Proxies{}).ServeHTTP(httptest.NewRecorder(), r)
	}
	for name, test := range map[string]struct {
		change func(*socketSettings)
		want   string
	}{
		"connections":    {func(s *socketSettings) { s.ConnectionsMax = -1 }, "must not be negative"},
		"streams":        {func(s *socketSettings) { s.StreamsMax = -1 }, "must not be negative"},
		"of an address":  {func(s *socketSettings) { s.StreamsPerAddress = -1 }, "must not be negative"},
		"operations":     {func(s *socketSettings) { s.StreamOperations = -1 }, "must not be negative"},
		"its operations": {func(s *socketSettings) { s.OperationsPerAddress = -1 }, "must not be negative"},
		"messages":       {func(s *socketSettings) { s.SocketMessagesPerSecond = -1 }, "must not be negative"},
		"small messages": {func(s *socketSettings) { s.SocketMessageBytes = 1000 }, "at least 1024"},
		"short lives":    {func(s *socketSettings) { s.StreamLifetime = time.Second }, "at least 1m"},
	} {
		changed := usual
		test.change(&changed)
		require.ErrorContains(t, changed.check(), test.want, name)
	}
}

// TestConnectionsAreBounded: a connection above the bound is closed at once. One that
// ends, or becomes a stream, makes room.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	open := newConnections(2)
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hijack" {
			conn, _, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			go func() { _, _ = io.Copy(io.Discard, conn) }()
		}
	}), nil, slog.New(slog.DiscardHandler))
	server.ConnState = open.watch
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	dial := func() net.Conn {
		conn, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	awaitOpen := func(n int64) {
		t.Helper()
		require.Eventually(t, func() bool { return open.open.Load() == n }, patience, time.Millisecond)
	}
	ended := func(conn net.Conn) bool {
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		answer, _ := io.ReadAll(conn)
		return err != nil || len(answer) == 0
	}
	one, two := dial(), dial()
	awaitOpen(2)
	for range 3 {
		assert.True(t, ended(dial()))
	}
	awaitOpen(2)
	assert.EqualValues(t, 3, open.refused.Load())
	assert.False(t, ended(one))
	awaitOpen(1)
	_, err = io.WriteString(two, "GET /hijack HTTP/1.1\r\nHost: a\r\n\r\n")
	require.NoError(t, err)
	awaitOpen(0)
	assert.False(t, ended(dial()))
	assert.False(t, ended(dial()))
}

// TestHTTP2ConnectionsAreCounted: a connection of HTTP/2 counts until it ends.
func TestHTTP2ConnectionsAreCounted(t *testing.T) {
	t.Parallel()
	open := newConnections(2)
	server := newServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil, slog.New(slog.DiscardHandler))
	server.ConnState = open.watch
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { assert.NoError(t, server.Close()) })
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: patience}
	for range 3 {
		response, err := client.Get("http://" + listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, 2, response.ProtoMajor)
		assert.EqualValues(t, 1, open.open.Load())
		client.CloseIdleConnections()
		require.Eventually(t, func() bool { return open.open.Load() == 0 }, patience, time.Millisecond)
	}
}
