package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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
		assert.Equal(t, c.want, transportLabels[transportOf(r)], c.value)
	}
}

// TestBuildInfo: the metric says which build answers, and has the value 1.
func TestBuildInfo(t *testing.T) {
	t.Parallel()
	b := buildOf()
	require.NotEmpty(t, b.version)
	require.NotEmpty(t, b.revision)
	require.NoError(t, testutil.CollectAndCompare(BuildInfo(), strings.NewReader(fmt.Sprintf(`
		# HELP onhand_build_info 1, with the version and revision of this build and the version of Go.
		# TYPE onhand_build_info gauge
		onhand_build_info{goversion=%q,revision=%q,version=%q} 1
	`, runtime.Version(), b.revision, b.version))))
}
