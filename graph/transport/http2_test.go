package transport

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSSEOverHTTP2: a stream that waits for longer than a write may take stays open. One
// whose client reads nothing is cut off, and the others of the connection go on.
func TestSSEOverHTTP2(t *testing.T) {
	t.Parallel()
	protocols := &http.Protocols{}
	protocols.SetUnencryptedHTTP2(true)
	limits := patient
	limits.write, limits.keepAlive = 200*time.Millisecond, 600*time.Millisecond
	b := newTestServerOn(t, limits, testSettings{timeout: 400 * time.Millisecond, protocols: protocols})
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	t.Cleanup(client.CloseIdleConnections)
	ask := func(accept, query string) *http.Response {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, strings.NewReader(`{"query":"`+query+`"}`))
		require.NoError(t, err)
		r.Header.Set("Content-Type", mediaJSON)
		r.Header.Set("Accept", accept)
		response, err := client.Do(r)
		require.NoError(t, err)
		require.Equal(t, 2, response.ProtoMajor)
		t.Cleanup(func() { _ = response.Body.Close() })
		return response
	}
	waiting := bufio.NewReader(ask(mediaEvents, "subscription { tick }").Body)
	stuck := ask(mediaEvents, "subscription { flood }")
	for pings := 0; pings < 2; {
		line, err := waiting.ReadString('\n')
		require.NoError(t, err, "a stream that waits")
		if line == ": ping\n" {
			pings++
		}
	}
	select {
	case <-b.floods:
	case <-time.After(patience):
		require.Fail(t, "the server writes on")
	}
	_, err := io.Copy(io.Discard, stuck.Body)
	require.Error(t, err, "the stream was reset")

	answer, err := io.ReadAll(ask(mediaJSON, "{ name }").Body)
	require.NoError(t, err)
	assert.Equal(t, `{"data":{"name":"onhand"}}`, string(answer))
	b.send(t, "one")
	for line := ""; !strings.Contains(line, `{"tick":"one"}`); {
		line, err = waiting.ReadString('\n')
		require.NoError(t, err)
	}
}
