package serving

import (
	"net/http"
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
		r := local(t, c.method, "/graphql")
		r.Header.Set(c.header, c.value)
		assert.Equal(t, c.want, transportOf(r), c.value)
	}
}
