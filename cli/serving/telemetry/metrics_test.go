package telemetry

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTransportOf: the transport label of a request.
func TestTransportOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ want, method, header, value string }{
		{"get", http.MethodGet, "Accept", "application/json"},
		{"post", http.MethodPost, "Upgrade", "h2c"},
		{"post", http.MethodPost, "Accept", "application/json, text/event-stream"},
		{"sse", http.MethodPost, "Accept", "text/event-stream"},
		{"websocket", http.MethodGet, "Upgrade", "WebSocket"},
		{"other", http.MethodOptions, "Accept", "*/*"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, "/graphql", http.NoBody)
		r.Header.Set(c.header, c.value)
		assert.Equal(t, c.want, transportOf(r), c.value)
	}
}
