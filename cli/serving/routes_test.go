package serving

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport"
	"onhand/store"
)

// served is the answer of the whole server, without a network.
func served(t *testing.T, h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func local(t *testing.T, method, path string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	r.Host = "localhost:8080"
	return r
}

// TestRoutes: each path answers local clients, and refuses other hosts and origins.
func TestRoutes(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), nil, false)

	for path, want := range map[string]struct {
		status   int
		contains string
	}{
		"/":               {200, "<html"},
		"/playground":     {200, "<html"},
		"/nowhere":        {404, ""},
		"/schema.graphql": {200, "type Reservation implements Node {"},
		"/healthz":        {200, `"ok"`},
		"/readyz":         {200, `{"dependencies":{"database":"up","redis":"up"},"status":"ready"}`},
		"/metrics":        {200, "onhand_audit_products_total"},
		"/graphql?query={stock(productId:%2222423%22){quantityAvailable}}": {200, `{"data":{"stock":{"quantityAvailable":58}}}`},
	} {
		w := served(t, h, local(t, http.MethodGet, path))
		assert.Equal(t, want.status, w.Code, path)
		assert.Contains(t, w.Body.String(), want.contains, path)

		foreign := local(t, http.MethodGet, path)
		foreign.Host = "rebind.example.com"
		assert.Equal(t, http.StatusForbidden, served(t, h, foreign).Code, path)
		foreign = local(t, http.MethodGet, path)
		foreign.Header.Set("Origin", "https://evil.example.com")
		assert.Equal(t, http.StatusForbidden, served(t, h, foreign).Code, path)
	}
	assert.Equal(t, "no-store", served(t, h, local(t, http.MethodGet, "/healthz")).Header().Get("Cache-Control"))
	assert.Equal(t, http.StatusMethodNotAllowed, served(t, h, local(t, http.MethodPost, "/healthz")).Code)

	numbers := served(t, h, local(t, http.MethodGet, "/metrics")).Body.String()
	for _, line := range []string{
		`onhand_requests_total{transport="get"} 1`, `onhand_request_seconds_count{transport="get"} 1`, `onhand_requests_open{transport="get"} 0`,
		`onhand_audit_differences_total{kind="ledger_sum"} 0`, `onhand_writes_total{outcome="done",write="SetStock"}`, "go_goroutines",
	} {
		assert.Contains(t, numbers, line)
	}
	assert.Equal(t, http.StatusMethodNotAllowed, served(t, h, local(t, http.MethodPost, "/metrics")).Code)

	browser := local(t, http.MethodGet, "/graphql")
	browser.Header.Set("Accept", "text/html")
	sent := served(t, h, browser)
	assert.Equal(t, http.StatusSeeOther, sent.Code)
	assert.Equal(t, http.StatusOK, served(t, h, local(t, http.MethodGet, sent.Header().Get("Location"))).Code)

	preflight := local(t, http.MethodOptions, "/graphql")
	preflight.Header.Set("Origin", "http://localhost:5173")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	preflight.Header.Set("Access-Control-Request-Headers", "content-type")
	w := served(t, h, preflight)
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Equal(t, "http://localhost:5173", w.Header().Get("Access-Control-Allow-Origin"), "a page under development may ask")
}

// TestReadiness: without Redis the service is degraded and still ready; without
// the database it is unavailable. Neither answer says why: the log does.
func TestReadiness(t *testing.T) {
	t.Parallel()
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:", RedisURL: "redis://127.0.0.1:1"})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	w := served(t, ready(st), local(t, http.MethodGet, "/readyz"))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"status":"degraded","dependencies":{"database":"up","redis":"down"}}`, w.Body.String())
	st.Close()
	w = served(t, ready(st), local(t, http.MethodGet, "/readyz"))
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.JSONEq(t, `{"status":"unavailable","dependencies":{"database":"down","redis":"down"}}`, w.Body.String())
}
