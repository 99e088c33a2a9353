package guard_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

func trusted(t testing.TB, texts ...string) guard.Proxies {
	t.Helper()
	proxies, err := guard.ParseProxies(texts)
	require.NoError(t, err)
	return proxies
}

// addressOf is the address that a request from a peer with these headers has.
func addressOf(t testing.TB, proxies guard.Proxies, peer string, header http.Header) (whole netip.Addr, name string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.RemoteAddr, r.Header = peer, header
	guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		whole, name = guard.ClientAddress(r.Context()), guard.Address(r.Context())
	}), proxies).ServeHTTP(httptest.NewRecorder(), r)
	return whole, name
}

// TestTrustedProxies: only what trusted proxies wrote counts: the last address that is
// not one of them. What names no address is "unknown".
func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	proxies := trusted(t, "10.0.0.0/8", " 192.168.1.1 ", "2001:db8::/32", "::ffff:172.16.0.0/108")
	for name, c := range map[string]struct {
		peer            string
		forwarded, list []string
		want            string
	}{
		"no header":                      {"10.0.0.1:80", nil, nil, "10.0.0.1"},
		"a stranger with headers":        {"198.51.100.1:80", []string{"for=203.0.113.9"}, []string{"203.0.113.9"}, "198.51.100.1"},
		"one hop":                        {"10.0.0.1:80", nil, []string{"203.0.113.9"}, "203.0.113.9"},
		"a forged hop before":            {"10.0.0.1:80", nil, []string{"1.1.1.1, 203.0.113.9"}, "203.0.113.9"},
		"a forged line before":           {"10.0.0.1:80", nil, []string{"1.1.1.1", "203.0.113.9"}, "203.0.113.9"},
		"two proxies":                    {"10.0.0.1:80", nil, []string{"1.1.1.1, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"a forged proxy":                 {"10.0.0.1:80", nil, []string{"1.1.1.1, 10.0.0.9, 203.0.113.9, 10.0.0.2"}, "203.0.113.9"},
		"proxies only":                   {"10.0.0.1:80", nil, []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"the proxy as IPv4 in IPv6":      {"[::ffff:10.0.0.1]:80", nil, []string{"203.0.113.9"}, "203.0.113.9"},
		"a prefix written as IPv6":       {"172.16.0.9:80", nil, []string{"203.0.113.9"}, "203.0.113.9"},
		"a port":                         {"10.0.0.1:80", nil, []string{"203.0.113.9:4711"}, "203.0.113.9"},
		"IPv6":                           {"10.0.0.1:80", nil, []string{"2a00:1:2:3::4"}, "2a00:1:2:3::/64"},
		"IPv6 in brackets":               {"10.0.0.1:80", nil, []string{"[2a00:1:2:3::4]"}, "2a00:1:2:3::/64"},
		"IPv6 with a port":               {"10.0.0.1:80", nil, []string{"[2a00:1:2:3::4]:4711"}, "2a00:1:2:3::/64"},
		"IPv6 with a zone":               {"10.0.0.1:80", nil, []string{"fe80::1%eth0"}, "fe80::/64"},
		"IPv4 in IPv6":                   {"10.0.0.1:80", nil, []string{"::ffff:203.0.113.9"}, "203.0.113.9"},
		"garbage":                        {"10.0.0.1:80", nil, []string{"203.0.113.9, <script>"}, "unknown"},
		"garbage before":                 {"10.0.0.1:80", nil, []string{"<script>, 203.0.113.9"}, "203.0.113.9"},
		"nothing":                        {"10.0.0.1:80", nil, []string{""}, "unknown"},
		"no port after the colon":        {"10.0.0.1:80", nil, []string{"203.0.113.9:"}, "unknown"},
		"a port that is none":            {"10.0.0.1:80", nil, []string{"203.0.113.9:x"}, "unknown"},
		"open bracket":                   {"10.0.0.1:80", nil, []string{"[::1"}, "unknown"},
		"too many proxies":               {"10.0.0.1:80", nil, []string{"203.0.113.9" + strings.Repeat(",10.0.0.2", 40)}, "unknown"},
		"a million hops":                 {"10.0.0.1:80", nil, []string{strings.Repeat("1.1.1.1,", 1<<17) + "203.0.113.9"}, "203.0.113.9"},
		"Forwarded":                      {"10.0.0.1:80", []string{"for=203.0.113.9;proto=https;by=10.0.0.1"}, nil, "203.0.113.9"},
		"Forwarded, last of several":     {"10.0.0.1:80", []string{"for=1.1.1.1, For=203.0.113.9 , proto=http;FOR=10.0.0.2"}, nil, "203.0.113.9"},
		"Forwarded, quoted":              {"10.0.0.1:80", []string{`for="203.0.113.9:4711"`}, nil, "203.0.113.9"},
		"Forwarded, IPv6":                {"10.0.0.1:80", []string{`for="[2a00:1:2:3::4]:4711";by="a,b;c"`}, nil, "2a00:1:2:3::/64"},
		"Forwarded, hidden":              {"10.0.0.1:80", []string{"for=_hidden, for=unknown"}, nil, "unknown"},
		"Forwarded, hidden port":         {"10.0.0.1:80", []string{`for="203.0.113.9:_gazonk"`}, nil, "203.0.113.9"},
		"Forwarded, a hop without for":   {"10.0.0.1:80", []string{"for=1.1.1.1, proto=https"}, nil, "unknown"},
		"Forwarded, an open quote":       {"10.0.0.1:80", []string{`for=1.1.1.1;x=", for=203.0.113.9`}, nil, "unknown"},
		"Forwarded, an escape":           {"10.0.0.1:80", []string{`for="1.1.1.1\", for=203.0.113.9`}, nil, "unknown"},
		"Forwarded, twice":               {"10.0.0.1:80", []string{"for=1.1.1.1;for=203.0.113.9"}, nil, "unknown"},
		"Forwarded, long":                {"10.0.0.1:80", []string{strings.Repeat("for=1.1.1.1,", 1000) + "for=203.0.113.9"}, nil, "unknown"},
		"Forwarded, long line before":    {"10.0.0.1:80", []string{strings.Repeat("for=1.1.1.1,", 1000), "for=203.0.113.9"}, nil, "203.0.113.9"},
		"Forwarded without addresses":    {"10.0.0.1:80", []string{"proto=https"}, []string{"203.0.113.9"}, "203.0.113.9"},
		"both say the same":              {"10.0.0.1:80", []string{"for=203.0.113.9"}, []string{"203.0.113.9"}, "203.0.113.9"},
		"the client wrote one of them":   {"10.0.0.1:80", []string{"for=1.1.1.1"}, []string{"203.0.113.9"}, "unknown"},
		"the client names a proxy there": {"10.0.0.1:80", []string{"for=10.0.0.7"}, []string{"203.0.113.9"}, "unknown"},
	} {
		header := http.Header{}
		if c.forwarded != nil {
			header["Forwarded"] = c.forwarded
		}
		if c.list != nil {
			header["X-Forwarded-For"] = c.list
		}
		_, got := addressOf(t, proxies, c.peer, header)
		assert.Equal(t, c.want, got, name)
	}
}

// TestWrongProxies: what can never work is refused.
func TestWrongProxies(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "proxy.example.com", "10.0.0.0/33", "10.0.0.1:80", "0.0.0.0/0", "::/0", "::ffff:0:0/64", "fe80::1%eth0"} {
		_, err := guard.ParseProxies([]string{"10.0.0.1", text})
		assert.Error(t, err, text)
	}
}

// FuzzForwarded: whatever a client writes into the headers, a trusted proxy that appends
// the client's address never makes another address of it.
func FuzzForwarded(f *testing.F) {
	for _, seed := range []string{"", "1.1.1.1", "for=1.1.1.1", `for="`, `for="1.1.1.1\"`, "[::1]:80,", "for=10.0.0.1, ", `by="a,b";for=`, ";;,,==", "for=1.1.1.1;x=\""} {
		f.Add(seed, seed)
	}
	proxies := trusted(f, "10.0.0.0/8")
	client := netip.MustParseAddr("203.0.113.9")
	f.Fuzz(func(t *testing.T, list, forwarded string) {
		for _, header := range []http.Header{
			{"X-Forwarded-For": {list + ", 203.0.113.9"}},
			{"X-Forwarded-For": {list, "203.0.113.9"}},
			{"Forwarded": {forwarded, "for=203.0.113.9;proto=https"}},
		} {
			got, _ := addressOf(t, proxies, "10.0.0.1:80", header)
			assert.Equal(t, client, got)
		}
		for _, header := range []http.Header{
			{"Forwarded": {forwarded + ", for=203.0.113.9"}},
			{"Forwarded": {forwarded + `,for="203.0.113.9:80";by=10.0.0.1`}},
			{"X-Forwarded-For": {list + ", 203.0.113.9"}, "Forwarded": {forwarded}},
			{"X-Forwarded-For": {list}, "Forwarded": {forwarded + ", for=203.0.113.9"}},
		} {
			got, name := addressOf(t, proxies, "10.0.0.1:80", header)
			assert.True(t, slices.Contains([]netip.Addr{{}, client}, got), "%v: %s", header, name)
		}
	})
}
