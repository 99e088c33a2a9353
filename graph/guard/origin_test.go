package guard_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

// hosts tells for each form of a host whether it is this machine.
var hosts = map[string]bool{
	"localhost": true, "localhost:8080": true,
	"127.0.0.1": true, "127.0.0.1:8080": true, "127.9.9.9:1": true,
	"::1": true, "[::1]": true, "[::1]:8080": true, "[0:0:0:0:0:0:0:1]:80": true, "[::ffff:127.0.0.1]:80": true,

	"": false, ":8080": false, ":": false, "[": false, "]": false, "[]": false, "[]:80": false, "[:80": false,
	"[::1": false, "[::12": false, "::1]": false, "[[::1]]": false, "[::1]]:80": false, "[localhost]": false,
	"0.0.0.0": false, "0.0.0.0:8080": false, "[::]:8080": false, "::": false,
	"192.168.0.1:8080": false, "10.0.0.1": false, "[fe80::1%lo]:80": false, "[2001:db8::1]": false,
	"example.com": false, "localhost.example.com": false, "127.0.0.1.example.com": false, "localhost@example.com": false,
	"localhost.": false, "localhost:8080:1": false, "127.1": false, "0x7f.1": false, "2130706433": false, "127.0.0.1 ": false,
	"\x00": false, "localhost\n": false,
}

// TestIsLoopback: only names and addresses that always mean this machine are
// accepted, and no form makes it panic.
func TestIsLoopback(t *testing.T) {
	t.Parallel()
	for host, want := range hosts {
		assert.Equal(t, want, guard.IsLoopback(host), "%q", host)
	}
}

// FuzzIsLoopback: no input makes it panic.
func FuzzIsLoopback(f *testing.F) {
	for host := range hosts {
		f.Add(host)
	}
	f.Fuzz(func(_ *testing.T, host string) {
		guard.IsLoopback(host)
		guard.LoopbackOrigin(host)
	})
}

// TestLoopbackOrigin: pages of this machine are accepted, on any port.
func TestLoopbackOrigin(t *testing.T) {
	t.Parallel()
	for origin, want := range map[string]bool{
		"http://localhost": true, "http://localhost:3000": true, "https://127.0.0.1:8443": true, "http://[::1]:5173": true,
		"": false, "null": false, "localhost": false, "localhost:3000": false, "//localhost": false,
		"http://example.com": false, "https://localhost.example.com": false, "http://localhost@example.com": false,
		"http://example.com/localhost": false, "http://example.com#localhost": false, "http://example.com?localhost": false,
		"file://localhost": false, "chrome-extension://localhost": false, "ftp://127.0.0.1": false,
		"http://[": false, "http://[::1": false, "http://%6c": false, "http://:80": false, "http://": false, "http:localhost": false,
	} {
		assert.Equal(t, want, guard.LoopbackOrigin(origin), "%q", origin)
	}
}

// newSites is a server with these settings; its API is at /graphql.
func newSites(t *testing.T, config guard.SitesConfig) http.Handler {
	t.Helper()
	config.API, config.Exempt = "/graphql", []string{"/healthz"}
	sites, err := guard.NewSites(config)
	require.NoError(t, err)
	return sites.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
}

// asked is the status of a request with some of the headers Host, Origin, Sec-Fetch-Site and others.
func asked(t *testing.T, h http.Handler, method, path, host string, header map[string]string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
	r.Host = host
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		assert.Equal(t, "FORBIDDEN", code(t, w))
	}
	return w.Code
}

// TestLocalSites: a server without tokens refuses a page of another site, both under a
// host name that resolves to this machine (DNS rebinding) and under its own.
func TestLocalSites(t *testing.T) {
	t.Parallel()
	h := newSites(t, guard.SitesConfig{Local: true})
	for name, test := range map[string]struct {
		host, origin string
		status       int
	}{
		"a program":            {"127.0.0.1:8080", "", http.StatusOK},
		"a program, IPv6":      {"[::1]:8080", "", http.StatusOK},
		"our own page":         {"localhost:8080", "http://localhost:8080", http.StatusOK},
		"a development server": {"127.0.0.1:8080", "http://localhost:5173", http.StatusOK},
		"a rebound host name":  {"rebind.example.com:8080", "", http.StatusForbidden},
		"and a page from it":   {"rebind.example.com:8080", "http://rebind.example.com:8080", http.StatusForbidden},
		"another address":      {"192.0.2.1:8080", "", http.StatusForbidden},
		"a foreign page":       {"127.0.0.1:8080", "https://evil.example.com", http.StatusForbidden},
		"a sandboxed page":     {"127.0.0.1:8080", "null", http.StatusForbidden},
		"an invalid host":      {"[", "", http.StatusForbidden},
		"no host":              {"", "", http.StatusForbidden},
		"an invalid origin":    {"localhost", "http://[", http.StatusForbidden},
	} {
		header := map[string]string{}
		if test.origin != "" {
			header["Origin"] = test.origin
		}
		assert.Equal(t, test.status, asked(t, h, http.MethodGet, "/", test.host, header), name)
		assert.Equal(t, http.StatusOK, asked(t, h, http.MethodGet, "/healthz", test.host, header), "a load balancer: %s", name)
	}
}

// TestForwardedWithoutTokens: a server that grants every scope refuses what a proxy
// passes on; one that checks tokens does not.
func TestForwardedWithoutTokens(t *testing.T) {
	t.Parallel()
	local, checking := newSites(t, guard.SitesConfig{Local: true}), newSites(t, guard.SitesConfig{})
	for _, name := range []string{
		"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Server", "X-Forwarded", "X-Real-IP", "X-Client-IP",
		"X-Cluster-Client-IP", "X-Original-Forwarded-For", "X-Original-Host", "X-Envoy-External-Address", "X-ProxyUser-IP", "X-Azure-ClientIP",
		"True-Client-IP", "Client-IP", "CF-Connecting-IP", "CF-Connecting-IPv6", "CF-Ray", "CDN-Loop", "Fastly-Client-IP", "Fly-Client-IP",
	} {
		assert.Equal(t, http.StatusForbidden, asked(t, local, http.MethodPost, "/graphql", "localhost", map[string]string{name: ""}), name)
		assert.Equal(t, http.StatusOK, asked(t, checking, http.MethodPost, "/graphql", "localhost", map[string]string{name: "x"}), name)
	}
	ordinary := map[string]string{"Accept": "x", "User-Agent": "x", "X-Request-Id": "x", "Traceparent": "x", "X-Requested-With": "x", "Content-Type": "x"}
	assert.Equal(t, http.StatusOK, asked(t, local, http.MethodPost, "/graphql", "localhost", ordinary))

	for want, sites := range map[int]http.Handler{http.StatusForbidden: local, http.StatusOK: checking} {
		old := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql", http.NoBody) // as nginx sends it by default
		old.Host, old.Proto, old.ProtoMinor = "127.0.0.1:8080", "HTTP/1.0", 0
		w := httptest.NewRecorder()
		sites.ServeHTTP(w, old)
		assert.Equal(t, want, w.Code)
	}
}

// TestAllowedHosts: a server that checks tokens answers to localhost, addresses and the
// names of the setting.
func TestAllowedHosts(t *testing.T) {
	t.Parallel()
	h := newSites(t, guard.SitesConfig{Hosts: []string{"Shop.example.com", "*.example.org", "port.example.com:8443", "192.0.2.1"}})
	for host, allowed := range map[string]bool{
		"shop.example.com": true, "shop.example.com:8080": true, "SHOP.example.COM": true,
		"a.example.org": true, "a.b.example.org:1": true, "port.example.com:8443": true,
		"localhost:8080": true, "192.0.2.7": true, "192.0.2.7:8080": true, "[2001:db8::1]:8080": true,
		"example.org": false, ".example.org": false, "a/.example.org": false, "notexample.org": false, "example.org.evil.example.com": false,
		"port.example.com": false, "port.example.com:8080": false,
		"evil.example.com": false, "xshop.example.com": false, "shop.example.com.": false, "": false, ":8080": false, "shop.example.com:1:2": false,
	} {
		for range 2 { // the first allowed Host is remembered
			status := asked(t, h, http.MethodGet, "/", host, nil)
			assert.Equal(t, allowed, status == http.StatusOK, "%q", host)
		}
	}
}

// TestAllowedOrigins: pages of the setting and the server's own may call it. A server
// that checks tokens does not trust what other programs serve on this machine.
func TestAllowedOrigins(t *testing.T) {
	t.Parallel()
	h := newSites(t, guard.SitesConfig{Hosts: []string{"api.example.com"}, Origins: []string{
		"https://Shop.example.com", "http://dev.example.com:3000/", "https://*.example.org", "https://port.example.com:443", "capacitor://localhost",
	}})
	for origin, allowed := range map[string]bool{
		"https://shop.example.com": true, "http://dev.example.com:3000": true, "https://a.example.org": true, "https://a.b.example.org": true,
		"https://port.example.com": true, "capacitor://localhost": true,
		"https://api.example.com": true, "http://api.example.com": true, // its own page, behind a proxy that ends TLS
		"http://shop.example.com": false, "https://shop.example.com:8443": false, "https://shop.example.com.evil.example": false, "https://xshop.example.com": false,
		"http://dev.example.com": false, "https://example.org": false, "http://a.example.org": false, "https://a.example.org:8443": false,
		"https://evil.example/.example.org": false, "https://evil.example?.example.org": false, "https://.example.org": false, "https://x@evil.example#.example.org": false,
		"http://localhost:5173": false, "http://127.0.0.1:5173": false, "https://api.example.com:8443": false,
		"null": false, "": false, "https://": false, "http://[": false, "https://evil.example": false,
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
			status := asked(t, h, method, "/graphql", "api.example.com", map[string]string{"Origin": origin})
			assert.Equal(t, allowed, status == http.StatusOK, "%s %q", method, origin)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
	r.Header["Origin"] = []string{"https://shop.example.com", "https://shop.example.com"}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, http.StatusForbidden, w.Code, "two origins")

	r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://api.example.com/graphql", http.NoBody)
	require.NotNil(t, r.TLS)
	r.Header.Set("Origin", "http://api.example.com")
	w = httptest.NewRecorder()
	h.ServeHTTP(w, r)
	assert.Equal(t, http.StatusForbidden, w.Code, "a page that anybody on the way could write")
}

// TestFetchMetadata: what a page of another site sends without an Origin is refused too,
// but for links to pages.
func TestFetchMetadata(t *testing.T) {
	t.Parallel()
	h := newSites(t, guard.SitesConfig{Hosts: []string{"api.example.com"}, Origins: []string{"https://shop.example.com"}})
	type request map[string]string
	for name, test := range map[string]struct {
		method, path string
		header       request
		allowed      bool
	}{
		"a program":              {"GET", "/graphql", nil, true},
		"our own page":           {"GET", "/graphql", request{"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}, true},
		"typed in":               {"GET", "/graphql", request{"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate"}, true},
		"an image":               {"GET", "/graphql", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, false},
		"an image, next door":    {"GET", "/graphql", request{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "image"}, false},
		"a script":               {"GET", "/assets/x.js", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"}, false},
		"a value of the future":  {"GET", "/graphql", request{"Sec-Fetch-Site": "near-by"}, false},
		"an allowed page":        {"POST", "/graphql", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "https://shop.example.com"}, true},
		"an allowed EventSource": {"GET", "/graphql", request{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Origin": "https://shop.example.com"}, true},
		"our page, plain HTTP":   {"POST", "/graphql", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Origin": "http://api.example.com"}, false},
		"a foreign form":         {"POST", "/graphql", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false},
		"and with its Origin":    {"POST", "/", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Origin": "https://evil.example"}, false},
		"a link to a page":       {"GET", "/playground", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, true},
		"a link to the API":      {"GET", "/graphql", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}, false},
		"a frame":                {"GET", "/playground", request{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}, false},
	} {
		status := asked(t, h, test.method, test.path, "api.example.com", test.header)
		assert.Equal(t, test.allowed, status == http.StatusOK, name)
	}
}

// TestSitesSettings: a setting that can match no host or origin, or every one, is refused.
func TestSitesSettings(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "*", "null", "shop.example.com", "https://", "https://*", "https://*example.com", "https://a.*.com", "https://u@a.com", "https://a.com/x", "https://a.com?x", "https://[", "//a.com"} {
		_, err := guard.NewSites(guard.SitesConfig{Origins: []string{text}})
		assert.ErrorContains(t, err, "allowed-origins", "%q", text)
	}
	for _, text := range []string{"", "*", "*.", "*example.com", "a.*.com", "*.example.com:80", "https://a.com", "a.com/x", "a.com.", ":80", "a b", "[", "a:1:2", "u@a.com"} {
		_, err := guard.NewSites(guard.SitesConfig{Hosts: []string{text}})
		assert.ErrorContains(t, err, "allowed-hosts", "%q", text)
	}
}

// TestAllowingAllocatesNothing: allowing a request allocates nothing.
func TestAllowingAllocatesNothing(t *testing.T) {
	h := newSites(t, guard.SitesConfig{Local: true})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
	r.Host = "127.0.0.1:8080"
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}, "User-Agent": {"x"}}
	w := httptest.NewRecorder()
	assert.Zero(t, testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }))
}

// code returns the code of a refusal, and fails unless it has GraphQL's form.
func code(t *testing.T, w *httptest.ResponseRecorder) string {
	t.Helper()
	assert.Equal(t, "application/json; charset=utf-8", w.Header().Get("Content-Type"))
	var answer struct {
		Errors []struct {
			Message    string
			Extensions struct{ Code string }
		}
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
	require.Len(t, answer.Errors, 1)
	require.NotEmpty(t, answer.Errors[0].Message)
	return answer.Errors[0].Extensions.Code
}
