package serving

import (
	"bytes"
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
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: localSites(t), registry: newRegistry(st), open: newConnections(0)})

	for path, want := range map[string]struct {
		status   int
		contains string
	}{
		"/":               {200, "<html"},
		"/playground":     {200, "<html"},
		"/nowhere":        {404, ""},
		"/schema.graphql": {200, "type Reservation implements Node {"},
		"/healthz":        {200, `"ok"`},
		"/readyz":         {200, `{"status":"ready","dependencies":{"database":"up","redis":"up"}}`},
		"/metrics":        {200, "onhand_audit_products_total"},
		"/graphql?query={stock(productId:%2222423%22){quantityAvailable}}": {200, `{"data":{"stock":{"quantityAvailable":58}}}`},
	} {
		w := served(t, h, local(t, http.MethodGet, path))
		assert.Equal(t, want.status, w.Code, path)
		assert.Contains(t, w.Body.String(), want.contains, path)

		refused := http.StatusForbidden
		if path == healthPath || path == readyPath {
			refused = want.status // a load balancer asks by any name
		}
		foreign := local(t, http.MethodGet, path)
		foreign.Host = "rebind.example.com"
		assert.Equal(t, refused, served(t, h, foreign).Code, path)
		for name, value := range map[string]string{"Origin": "https://evil.example.com", "Sec-Fetch-Site": "cross-site", "X-Forwarded-For": "192.0.2.1"} {
			foreign = local(t, http.MethodGet, path)
			foreign.Header.Set(name, value)
			assert.Equal(t, refused, served(t, h, foreign).Code, "%s %s", name, path)
		}
	}
	assert.Equal(t, "no-store", served(t, h, local(t, http.MethodGet, "/healthz")).Header().Get("Cache-Control"))
	assert.Equal(t, http.StatusMethodNotAllowed, served(t, h, local(t, http.MethodPost, "/healthz")).Code)

	numbers := served(t, h, local(t, http.MethodGet, "/metrics")).Body.String()
	for _, line := range []string{
		`onhand_requests_total{transport="get"} 1`, `onhand_request_duration_seconds_count{transport="get"} 1`, `onhand_requests_open{transport="get"} 0`,
		`onhand_audit_differences_total{kind="ledger_sum"} 0`, `onhand_writes_total{outcome="done",write="SetStock"}`, "go_goroutines",
		`onhand_streams_refused_total{bound="streams_of_address"} 0`, `onhand_socket_closes_total{code="4408"} 0`, "onhand_socket_messages_delayed_total 0", "onhand_connections_open 0",
	} {
		assert.Contains(t, numbers, line)
	}
	assert.Equal(t, http.StatusMethodNotAllowed, served(t, h, local(t, http.MethodPost, "/metrics")).Code)

	for _, path := range []string{"/", "/playground", "/nowhere", "/schema.graphql", "/healthz", "/metrics"} {
		header := served(t, h, local(t, http.MethodGet, path)).Header()
		for name := range pageHeaders {
			assert.NotEmpty(t, header.Get(name), "%s %s", name, path)
		}
		policy := header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", header.Get("X-Content-Type-Options"), path)
		assert.Empty(t, header.Get("Strict-Transport-Security"), path)
	}
	refused := local(t, http.MethodPost, "/graphql")
	refused.Host = "rebind.example.com"
	assert.Equal(t, "nosniff", served(t, h, refused).Header().Get("X-Content-Type-Options"))

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

// TestRefusedTokensAreLogged: with the address of who sent one.
func TestRefusedTokensAreLogged(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	var out bytes.Buffer
	h := routes(st, transport.NewClosing(), slog.New(slog.NewTextHandler(&out, nil)), routeConfig{sites: publicSites(t), bearer: bearer})
	r := local(t, http.MethodGet, "/graphql?query={__typename}")
	r.Host, r.RemoteAddr = "shop.example.com", "192.0.2.7:1234"
	r.Header.Set("Authorization", "Bearer made-up")
	require.Equal(t, http.StatusUnauthorized, served(t, h, r).Code)
	require.Contains(t, out.String(), "address=192.0.2.7 ")
}

// TestRefusedSitesAreLogged: requests under another host name and of pages of other sites,
// with the address.
func TestRefusedSitesAreLogged(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	for name, headers := range map[string]http.Header{
		"host name": {"Host": {"rebind.example.com"}}, "origin": {"Origin": {"https://other.example.com"}}, "proxy": {"X-Forwarded-For": {"198.51.100.1"}},
	} {
		var out bytes.Buffer
		h := routes(st, transport.NewClosing(), slog.New(slog.NewTextHandler(&out, nil)), routeConfig{sites: localSites(t), open: newConnections(0)})
		r := local(t, http.MethodGet, "/graphql?query={__typename}")
		r.RemoteAddr = "192.0.2.7:1234"
		for header, values := range headers {
			r.Header[header] = values
		}
		if host := headers.Get("Host"); host != "" {
			r.Host = host
		}
		require.Equal(t, http.StatusForbidden, served(t, h, r).Code, name)
		for _, part := range []string{"msg=refused", "address=192.0.2.7 ", "codes=[FORBIDDEN]", "because="} {
			require.Contains(t, out.String(), part, name)
		}
		require.NotContains(t, out.String(), "example.com", name)
	}
}
