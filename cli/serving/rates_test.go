package serving

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/cli/serving/admin"
	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/models/quota"
	"onhand/store"
)

// defaultRates are the settings without any set.
func defaultRates(t testing.TB) (s rateSettings) {
	t.Helper()
	parser, err := kong.New(&s)
	require.NoError(t, err)
	_, err = parser.Parse(nil)
	require.NoError(t, err)
	return s
}

// TestRateSettings: every quota has a default, and what can never work is refused.
func TestRateSettings(t *testing.T) {
	t.Parallel()
	defaults := defaultRates(t)
	config, err := defaults.config()
	require.NoError(t, err)
	for _, class := range ratelimit.Classes() {
		q := config.Quotas[class]
		assert.False(t, q.Unbounded(), class)
		if class != ratelimit.Documents && class != ratelimit.Tokens {
			assert.GreaterOrEqual(t, q.Cost, 10*guard.ComplexityMax, "of %s ten of the largest operations fit", class)
		}
	}
	assert.Equal(t, []guard.Scope{guard.Admin, guard.WriteOrders}, config.ExemptScopes)

	for name, change := range map[string]func(*rateSettings){
		"rate-reads":         func(s *rateSettings) { s.RateReads = "many" },
		"rate-writes":        func(s *rateSettings) { s.RateWrites = "0/1m" },
		"rate-subscriptions": func(s *rateSettings) { s.RateSubscriptions = "10" },
		"rate-documents":     func(s *rateSettings) { s.RateDocuments = "1/" },
		"rate-tokens":        func(s *rateSettings) { s.RateTokens = "x" },
		"rate-exempt":        func(s *rateSettings) { s.RateExempt = "admin,write:everything" },
	} {
		wrong := defaults
		change(&wrong)
		assert.ErrorContains(t, wrong.check(), name)
	}
	none, err := (&rateSettings{}).config()
	require.NoError(t, err)
	assert.Equal(t, config.Quotas, none.Quotas, "set to nothing means the default")
	off := defaults
	off.RateReads, off.RateExempt = "off", "10.0.0.0/8, 2001:db8::1,read:orders"
	config, err = off.config()
	require.NoError(t, err)
	assert.Equal(t, quota.Quota{}, config.Quotas[ratelimit.Reads])
	assert.Len(t, config.ExemptNetworks, 2)
	assert.ErrorContains(t, (&proxySettings{TrustedProxies: []string{"0.0.0.0/0"}}).check(), "trusted-proxies")
}

// TestLimitsOfTheServer: with tokens configured strangers have quotas, by the address
// that a trusted proxy names, and refusals are counted. Without tokens nobody has one.
func TestLimitsOfTheServer(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	settings := defaultRates(t)
	settings.RateReads = "15/1h"
	log := slog.New(slog.DiscardHandler)
	none, stop := settings.startLimiter(t.Context(), false, st, log)
	stop()
	assert.Nil(t, none)
	limiter, stop := settings.startLimiter(t.Context(), true, st, log)
	defer stop()
	proxies := (&proxySettings{TrustedProxies: []string{"192.0.2.0/24"}}).proxies()
	registry := newRegistry(st)
	h := routes(st, transport.NewClosing(), log, routeConfig{sites: publicSites(t), bearer: &guard.Bearer{}, open: newConnections(0), registry: registry, proxies: proxies, limiter: limiter})
	ask := func(client string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ __typename }"}`)) // from 192.0.2.1
		r.Host = "shop.example.com"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Forwarded-For", client)
		return served(t, h, r).Code
	}
	assert.Equal(t, http.StatusOK, ask("198.51.100.1"))
	assert.Equal(t, http.StatusTooManyRequests, ask("203.0.113.7, 198.51.100.1"))
	assert.Equal(t, http.StatusOK, ask("198.51.100.2"))
	text := served(t, admin.Metrics(registry, log), local(t, http.MethodGet, "/metrics")).Body.String()
	for _, line := range []string{
		`onhand_rate_limited_total{class="reads"} 1`, `onhand_rate_limited_total{class="writes"} 0`, "onhand_rate_sharing 1", "onhand_rate_buckets ",
	} {
		assert.Contains(t, text, line)
	}
}

// TestRefusedTokensAreLimited: after many tokens that were not accepted an address gets
// 429 for each unknown one, without a look at it. Tokens that were accepted before go on,
// and so do callers without one and other addresses.
func TestRefusedTokensAreLimited(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	settings := defaultRates(t)
	settings.RateTokens = "3/1h"
	log := slog.New(slog.DiscardHandler)
	limiter, stop := settings.startLimiter(t.Context(), true, st, log)
	defer stop()
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), limiter, log)
	require.NoError(t, err)
	defer closeBearer()
	h := routes(st, transport.NewClosing(), log, routeConfig{sites: publicSites(t), bearer: bearer, open: newConnections(0), limiter: limiter})
	mint := func(subject string) string {
		token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: subject, Lifetime: time.Hour}, time.Now())
		require.NoError(t, err)
		return token
	}
	ask := func(address, token string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ __typename }"}`))
		r.Host, r.RemoteAddr = "shop.example.com", address
		r.Header.Set("Content-Type", "application/json")
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		return served(t, h, r)
	}
	const home, other = "192.0.2.1:1", "192.0.2.2:1"
	known, fresh := mint("known"), mint("fresh")
	assert.Equal(t, http.StatusOK, ask(home, known).Code)
	for n := range 3 {
		assert.Equal(t, http.StatusUnauthorized, ask(home, fresh+strconv.Itoa(n)).Code)
	}
	w := ask(home, fresh+"3")
	assert.Equal(t, http.StatusTooManyRequests, w.Code)
	assert.Contains(t, w.Body.String(), "RATE_LIMITED")
	wait, err := strconv.Atoi(w.Header().Get("Retry-After"))
	require.NoError(t, err)
	assert.InDelta(t, 1200, wait, 5)
	assert.Equal(t, http.StatusTooManyRequests, ask(home, fresh).Code, "it would have to be verified")
	assert.Equal(t, http.StatusOK, ask(home, known).Code)
	assert.Equal(t, http.StatusOK, ask(home, "").Code)
	assert.Equal(t, http.StatusOK, ask(other, fresh).Code)
	assert.EqualValues(t, 2, limiter.Limited(ratelimit.Tokens))
}
