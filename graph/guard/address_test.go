package guard_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"onhand/graph/guard"
)

// TestAddress: a caller is an IPv4 address, or the network of an IPv6 address. The port
// does not count.
func TestAddress(t *testing.T) {
	t.Parallel()
	assert.Empty(t, guard.Address(t.Context()))
	for remote, want := range map[string]string{
		"192.0.2.1:1234":                 "192.0.2.1",
		"192.0.2.1:1235":                 "192.0.2.1",
		"[::ffff:192.0.2.1]:80":          "192.0.2.1",
		"[2001:db8:1:2:3:4:5:6]:80":      "2001:db8:1:2::/64",
		"[2001:db8:1:2:ffff::1]:80":      "2001:db8:1:2::/64",
		"[2001:db8:1:3::1]:80":           "2001:db8:1:3::/64",
		"[fe80::1%eth0]:80":              "fe80::/64",
		"[::1]:80":                       "::/64",
		"a socket of another kind, or @": "unknown",
	} {
		guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, want, guard.Address(r.Context()), remote)
		}), guard.Proxies{}).ServeHTTP(httptest.NewRecorder(), func() *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.RemoteAddr = remote
			return r
		}())
	}
}

// TestIdentityKeepsTheAddress: a caller that is found out later has the address of its
// request.
func TestIdentityKeepsTheAddress(t *testing.T) {
	t.Parallel()
	guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx := guard.WithIdentity(r.Context(), guard.Identity{Subject: "erp"})
		assert.Equal(t, "192.0.2.1", guard.Address(ctx))
	}), guard.Proxies{}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)) // from 192.0.2.1
}
