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

// TestLoopbackOnly: a page of another site is refused, both under a host name that
// resolves to this machine (DNS rebinding) and under its own.
func TestLoopbackOnly(t *testing.T) {
	t.Parallel()
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
		"a foreign page":       {"127.0.0.1:8080", "https://evil.example.com", http.StatusForbidden},
		"a sandboxed page":     {"127.0.0.1:8080", "null", http.StatusForbidden},
		"an invalid host":      {"[", "", http.StatusForbidden},
		"no host":              {"", "", http.StatusForbidden},
		"an invalid origin":    {"localhost", "http://[", http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
			r.Host = test.host
			if test.origin != "" {
				r.Header.Set("Origin", test.origin)
			}
			w := httptest.NewRecorder()
			guard.LoopbackOnly(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
			if test.status != http.StatusOK {
				assert.Equal(t, "FORBIDDEN", code(t, w))
			}
		})
	}
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
