package admin_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/stretchr/testify/assert"

	"onhand/cli/serving/admin"
	"onhand/store"
)

func ask(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func health(redis, database error) func(context.Context) store.Health {
	return func(context.Context) store.Health { return store.Health{Redis: redis, Database: database} }
}

// TestReadiness: without Redis the service is degraded and still ready; without the
// database it is unavailable. Only operators are told why.
func TestReadiness(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	for _, test := range []struct {
		redis, database error
		code            int
		public, admin   string
	}{
		{nil, nil, 200, `{"status":"ready","dependencies":{"database":"up","redis":"up"}}`, ""},
		{away, nil, 200, `{"status":"degraded","dependencies":{"database":"up","redis":"down"}}`,
			`{"status":"degraded","dependencies":{"database":"up","redis":"down"},"errors":{"redis":"connection refused"}}`},
		{away, away, 503, `{"status":"unavailable","dependencies":{"database":"down","redis":"down"}}`,
			`{"status":"unavailable","dependencies":{"database":"down","redis":"down"},"errors":{"database":"connection refused","redis":"connection refused"}}`},
	} {
		public := ask(t, admin.Ready(health(test.redis, test.database), &atomic.Bool{}), "/readyz")
		assert.Equal(t, test.code, public.Code)
		assert.JSONEq(t, test.public, public.Body.String())
		own := ask(t, admin.Handler(admin.Sources{Health: health(test.redis, test.database), Registry: prometheus.NewRegistry()}), "/readyz")
		assert.Equal(t, test.code, own.Code)
		if test.admin != "" {
			assert.JSONEq(t, test.admin, own.Body.String())
		}
	}
}

// TestReadinessOfOptionalParts: a replica that is not used, and a database without
// notifications, are shown and leave the service ready. Only operators are told why.
func TestReadinessOfOptionalParts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		health        store.Health
		public, admin string
	}{
		{store.Health{HasReplica: true}, `"database":"up","redis":"up","replica":"up"}}`, `"redis":"up","replica":"up"}}`},
		{store.Health{HasReplica: true, Replica: errors.New("behind")}, `"database":"up","redis":"up","replica":"unused"}}`, `"errors":{"replica":"behind"}}`},
		{store.Health{Polling: true}, `"database":"up","notifications":"polling","redis":"up"}}`, `"notifications":"polling"`},
	} {
		look := func(context.Context) store.Health { return test.health }
		public := ask(t, admin.Ready(look, &atomic.Bool{}), "/readyz")
		assert.Equal(t, http.StatusOK, public.Code)
		assert.Contains(t, public.Body.String(), `"status":"ready"`)
		assert.Contains(t, public.Body.String(), test.public)
		assert.Contains(t, ask(t, admin.Handler(admin.Sources{Health: look, Registry: prometheus.NewRegistry()}), "/readyz").Body.String(), test.admin)
	}
}

// TestAdminAnswers: operators get metrics and profiles of a bounded length. A page of
// another site gets nothing.
func TestAdminAnswers(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector())
	h := admin.Handler(admin.Sources{Registry: registry, Health: health(nil, nil), Log: slog.New(slog.DiscardHandler)})
	for path, want := range map[string]struct {
		code     int
		contains string
	}{
		"/metrics":                         {200, "go_goroutines"},
		"/healthz":                         {200, `{"status":"ok"}`},
		"/debug/pprof/":                    {200, "goroutine"},
		"/debug/pprof/heap?debug=1":        {200, "heap profile"},
		"/debug/pprof/cmdline":             {404, ""}, // flags may have secrets
		"/debug/pprof/trace?seconds=1":     {200, ""},
		"/debug/pprof/profile?seconds=0.1": {400, "1 to 60 seconds"},
		"/debug/pprof/profile?seconds=61":  {400, "1 to 60 seconds"},
		"/debug/pprof/trace?seconds=1e9":   {400, "1 to 60 seconds"},
		"/graphql":                         {404, ""},
	} {
		w := ask(t, h, path)
		assert.Equal(t, want.code, w.Code, path)
		assert.Contains(t, w.Body.String(), want.contains, path)
	}
	for _, headers := range [][]string{{"Origin", "http://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}} {
		assert.Equal(t, http.StatusForbidden, ask(t, h, "/metrics", headers...).Code, headers)
	}
	assert.Equal(t, http.StatusOK, ask(t, h, "/metrics", "Sec-Fetch-Site", "none").Code, "an address typed by hand")

	loopback := admin.Handler(admin.Sources{Registry: registry, Health: health(nil, nil), Log: slog.New(slog.DiscardHandler), Loopback: true})
	for host, code := range map[string]int{"127.0.0.1:8081": 200, "localhost:8081": 200, "rebind.example": 403, "192.0.2.1": 403} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody)
		r.Host = host
		w := httptest.NewRecorder()
		loopback.ServeHTTP(w, r)
		assert.Equal(t, code, w.Code, host)
	}
}

// TestFloodOfReadiness: however many ask, the dependencies are asked once a second, and a
// caller that goes away does not make the others believe that a dependency is down.
func TestFloodOfReadiness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var looks atomic.Int32
		ready := admin.Ready(func(ctx context.Context) store.Health {
			looks.Add(1)
			time.Sleep(100 * time.Millisecond)
			return store.Health{Database: ctx.Err()}
		}, new(atomic.Bool))
		gone, leave := context.WithCancel(t.Context())
		leave()
		for second := range 3 {
			for range 100 {
				go func() {
					w := httptest.NewRecorder()
					ready(w, httptest.NewRequestWithContext(gone, http.MethodGet, "/readyz", http.NoBody))
					assert.Equal(t, http.StatusOK, w.Code)
				}()
			}
			time.Sleep(2 * time.Second)
			assert.EqualValues(t, second+1, looks.Load())
		}
	})
}
