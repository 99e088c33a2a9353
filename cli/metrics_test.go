package cli

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

// TestTransportOf: the transport label of a request.
func TestTransportOf(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]struct{ method, header, value string }{
		"get": {http.MethodGet, "Accept", "application/json"}, "post": {http.MethodPost, "Upgrade", "h2c"}, "other": {http.MethodOptions, "Accept", "*/*"},
		"sse": {http.MethodPost, "Accept", "text/event-stream"}, "websocket": {http.MethodGet, "Upgrade", "WebSocket"},
	} {
		r := local(t, c.method, "/graphql")
		r.Header.Set(c.header, c.value)
		assert.Equal(t, want, transportOf(r))
	}
}
