package main

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
)

// TestServeRefuses: settings that can never be right are refused in words,
// before anything is opened.
func TestServeRefuses(t *testing.T) {
	t.Parallel()
	const hold, holdMax = 15 * time.Minute, 24 * time.Hour
	for name, test := range map[string]struct {
		command serveCommand
		want    string
	}{
		"every address":          {serveCommand{"0.0.0.0:8080", hold, holdMax}, "only a loopback address"},
		"every address, IPv6":    {serveCommand{"[::]:8080", hold, holdMax}, "only a loopback address"},
		"every address, short":   {serveCommand{":8080", hold, holdMax}, "only a loopback address"},
		"a network's address":    {serveCommand{"192.168.1.5:8080", hold, holdMax}, "only a loopback address"},
		"a name":                 {serveCommand{"example.com:8080", hold, holdMax}, "only a loopback address"},
		"a name that looks like": {serveCommand{"localhost.example.com:8080", hold, holdMax}, "only a loopback address"},
		"nothing":                {serveCommand{"", hold, holdMax}, "only a loopback address"},
		"brackets":               {serveCommand{"[", hold, holdMax}, "only a loopback address"},
		"no port":                {serveCommand{"127.0.0.1", hold, holdMax}, "missing port"},
		"a port too high":        {serveCommand{"127.0.0.1:99999", hold, holdMax}, "invalid port"},
		"no hold":                {serveCommand{"127.0.0.1:0", 0, holdMax}, "reservation-ttl 0s must be between 1s and"},
		"less than no hold":      {serveCommand{"127.0.0.1:0", -hold, holdMax}, "reservation-ttl -15m0s must be between"},
		"too short a hold":       {serveCommand{"127.0.0.1:0", time.Second - 1, holdMax}, "must be between 1s and"},
		"too long a hold":        {serveCommand{"127.0.0.1:0", holdMax + 1, holdMax}, "reservation-ttl-max 24h0m0s"},
		"no longest hold":        {serveCommand{"127.0.0.1:0", hold, 0}, "reservation-ttl-max 0s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.command.Run(t.Context(), &settings{DatabaseURL: "sqlite::memory:", LogLevel: "error"})
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestStoresThatCannotBe: a broken URL is refused, without its password.
func TestStoresThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, s := range []settings{
		{DatabaseURL: "mysql://root:hunter2@localhost/x"},
		{DatabaseURL: "postgres://u:hunter2@localhost:port/x"},
		{DatabaseURL: "sqlite:"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "http://u:hunter2@localhost"},
		{DatabaseURL: "sqlite::memory:", RedisURL: "redis://u:hunter2@localhost:port"},
	} {
		st, err := s.open(store.Config{})
		if st != nil {
			st.Close()
		}
		if assert.Error(t, err, "%+v", s) {
			assert.NotContains(t, err.Error(), "hunter2")
		}
	}
}

func parse(t *testing.T, args ...string) (cli, *kong.Kong, error) {
	t.Helper()
	var c cli
	k, err := kong.New(&c, kong.Name("onhand"), kong.Exit(func(int) {}))
	require.NoError(t, err)
	_, err = k.Parse(args)
	return c, k, err
}

// TestSettings: flags reach the commands, and bad ones are refused.
func TestSettings(t *testing.T) {
	t.Parallel()
	c, _, err := parse(t, "--listen-addr=127.0.0.1:1", "--reservation-ttl=90s", "--reservation-ttl-max=2h", "--database-url=sqlite:x.db", "--redis-url=redis://r", "--log-level=warn")
	require.NoError(t, err)
	assert.Equal(t, serveCommand{"127.0.0.1:1", 90 * time.Second, 2 * time.Hour}, c.Serve)
	assert.Equal(t, settings{"sqlite:x.db", "redis://r", "warn"}, c.settings)
	assert.True(t, c.logger().Enabled(t.Context(), slog.LevelWarn))
	assert.False(t, c.logger().Enabled(t.Context(), slog.LevelInfo))

	for _, args := range [][]string{
		{"--log-level=loud"}, {"--reservation-ttl=soon"}, {"--reservation-ttl=15"}, {"--no-such-flag"}, {"no-such-command"},
		{"import"}, {"import", "no-such-file.csv"}, {"import", "server.go", "--opening=2"}, {"import", "server.go", "--format=xml"},
	} {
		_, _, err := parse(t, args...)
		assert.Error(t, err, "%v", args)
	}
}

// TestEverySettingHasItsVariable: each flag of the server can be set in the
// environment, under the same name.
func TestEverySettingHasItsVariable(t *testing.T) {
	t.Parallel()
	for _, group := range []reflect.Type{reflect.TypeFor[settings](), reflect.TypeFor[serveCommand]()} {
		for i := range group.NumField() {
			tag := group.Field(i).Tag
			want := strings.ToUpper(strings.ReplaceAll(tag.Get("name"), "-", "_"))
			assert.NotEmpty(t, want)
			assert.Equal(t, want, tag.Get("env"))
			assert.NotEmpty(t, tag.Get("help"))
		}
	}
}

// served is what a path of the whole server answers, without a network.
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

// TestRoutes: what lies where, for whom.
func TestRoutes(t *testing.T) {
	t.Parallel()
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	require.NoError(t, prepare(t.Context(), st, true, slog.New(slog.DiscardHandler)))
	require.NoError(t, st.Start())
	h := (&serveCommand{ReservationTTL: time.Minute}).routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler))

	for path, want := range map[string]struct {
		status   int
		contains string
	}{
		"/":           {200, "<html"},
		"/playground": {200, "<html"},
		"/nowhere":    {404, ""},
		"/healthz":    {200, `"ok"`},
		"/readyz":     {200, `{"dependencies":{"database":"up","redis":"up"},"status":"ready"}`},
		"/metrics":    {200, "onhand_audit_products_total"},
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

	preflight := local(t, http.MethodOptions, "/graphql")
	preflight.Header.Set("Origin", "http://localhost:5173")
	preflight.Header.Set("Access-Control-Request-Method", "POST")
	preflight.Header.Set("Access-Control-Request-Headers", "content-type")
	w := served(t, h, preflight)
	assert.Equal(t, http.StatusNoContent, w.Code)
	assert.Equal(t, "http://localhost:5173", w.Header().Get("Access-Control-Allow-Origin"), "a page being built may ask")
}

// TestTransports: what a request counts as.
func TestTransports(t *testing.T) {
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

// TestReadiness: without Redis the service is degraded and still ready, without
// its database it is not; neither answer says why, which is for the log.
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

// TestOnlyAnEmptyShopGetsTheDemo: what a merchant has is never touched.
func TestOnlyAnEmptyShopGetsTheDemo(t *testing.T) {
	t.Parallel()
	log := slog.New(slog.DiscardHandler)
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(t, err)
	t.Cleanup(st.Close)
	require.NoError(t, prepare(t.Context(), st, false, log))
	demo := func() *models.Stock {
		fresh, err := st.FreshStock(t.Context(), "22423")
		require.NoError(t, err)
		return fresh
	}
	require.Nil(t, demo(), "nobody asked for it")
	require.NoError(t, prepare(t.Context(), st, true, log))
	first := demo()
	require.NotNil(t, first)
	require.NoError(t, prepare(t.Context(), st, true, log), "once more")
	assert.Equal(t, first.Version, demo().Version)
}
