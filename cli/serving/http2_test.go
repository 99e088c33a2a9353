package serving

import (
	"bufio"
	"context"
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

// TestUnencryptedHTTP2: a proxy that begins with HTTP/2 gets it, on the port of HTTP/1.1:
// queries, an event stream beside them on the same connection, and the refusals.
func TestUnencryptedHTTP2(t *testing.T) {
	t.Parallel()
	address := serveDemo(t, &Settings{})
	client := clientOf(t, "h2c")
	var dials int
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	events, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(events, http.MethodPost, "http://"+address+graphqlPath,
		strings.NewReader(`{"query":"subscription { stockChanged(productIds: [\"22423\"]) { productId } }"}`))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	stream, err := client.Do(r)
	require.NoError(t, err)
	defer stream.Body.Close()
	assert.Equal(t, "HTTP/2.0", stream.Proto)
	lines := bufio.NewScanner(stream.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), `{"stockChanged":{"productId":"22423"}}`) {
	}
	require.NoError(t, lines.Err())

	for range 3 {
		response, err := askTypename(t, client, "http://"+address)
		require.NoError(t, err)
		assert.Equal(t, "HTTP/2.0", response.Proto)
	}
	assert.Equal(t, 1, dials)
	response, err := askTypename(t, clientOf(t, "h1"), "http://"+address)
	require.NoError(t, err)
	assert.Equal(t, "HTTP/1.1", response.Proto)

	foreign, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/", http.NoBody)
	require.NoError(t, err)
	foreign.Host = "rebind.example.com"
	refused, err := client.Do(foreign)
	require.NoError(t, err)
	require.NoError(t, refused.Body.Close())
	assert.Equal(t, http.StatusForbidden, refused.StatusCode, "the name is in :authority")
}

// TestStuckStream: over HTTP/2 a request whose client reads nothing is cut off after its
// time, and the others of the connection go on.
func TestStuckStream(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	server := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.URL.Path == "/endless" {
			if _, err := io.WriteString(w, strings.Repeat("x", 1<<16)); err != nil {
				ended <- err
				return
			}
		}
	}), nil, slog.New(slog.DiscardHandler))
	server.WriteTimeout = time.Second
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- serve(server, listener) }()
	t.Cleanup(func() {
		assert.NoError(t, server.Close())
		assert.ErrorIs(t, <-served, http.ErrServerClosed)
	})
	client, url := clientOf(t, "h2c"), "http://"+listener.Addr().String()
	stuck, err := client.Get(url + "/endless")
	require.NoError(t, err)
	defer stuck.Body.Close()
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			response, err := client.Get(url)
			if assert.NoError(t, err) {
				assert.NoError(t, response.Body.Close())
			}
		})
	}
	group.Wait()
	select {
	case err := <-ended:
		assert.Error(t, err)
	case <-time.After(patience):
		assert.Fail(t, "the server writes on")
	}
}

// TestServerLog: what any client can cause is no warning.
func TestServerLog(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	log := serverLog{slog.New(slog.NewTextHandler(&text, nil))}
	for _, line := range []string{"http: TLS handshake error from 192.0.2.1:1: EOF\n", "http: superfluous response.WriteHeader call\n"} {
		n, err := log.Write([]byte(line))
		require.NoError(t, err)
		assert.Len(t, line, n)
	}
	assert.NotContains(t, text.String(), "handshake")
	assert.Contains(t, text.String(), `level=WARN msg="http: superfluous response.WriteHeader call"`)
}
