package admin

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/graph/guard"
	"onhand/store"
)

const (
	// checkTimeout bounds a scrape and a look at the dependencies.
	checkTimeout = 2 * time.Second
	// profileMax bounds a CPU profile and an execution trace.
	profileMax = time.Minute
	// WriteTimeout is that of the admin listener: the longest profile, and its transfer.
	WriteTimeout = profileMax + 30*time.Second
)

// Sources are what the answers come from.
type Sources struct {
	Registry *prometheus.Registry
	// Health asks the dependencies.
	Health func(ctx context.Context) store.Health
	Log    *slog.Logger
	// Loopback is a listener on a loopback address: it answers to the names of this machine
	// only, so that no name of another site can stand for it (DNS rebinding).
	Loopback bool
}

// Handler answers on the admin listener.
func Handler(sources Sources) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", Metrics(sources.Registry, sources.Log))
	mux.HandleFunc("GET /healthz", Healthy)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), checkTimeout)
		defer cancel()
		code, answer := stateOf(sources.Health(ctx))
		writeHealth(w, code, answer)
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.Handle("GET /debug/pprof/profile", bounded(pprof.Profile))
	mux.Handle("GET /debug/pprof/trace", bounded(pprof.Trace))
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return sources.ownPagesOnly(mux)
}

// ownPagesOnly refuses pages of other sites, which a browser inside the network could be
// made to send. Programs send neither header.
func (s Sources) ownPagesOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		if s.Loopback && !guard.IsLoopback(r.Host) || r.Header.Get("Origin") != "" || site != "" && site != "none" && site != "same-origin" {
			guard.Refuse(w, http.StatusForbidden, "FORBIDDEN", "pages of other sites may not ask")
			return
		}
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// bounded refuses a profile that takes longer than profileMax.
func bounded(profile http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := r.URL.Query().Get("seconds")
		seconds, err := strconv.Atoi(text)
		if text != "" && (err != nil || seconds < 1 || time.Duration(seconds)*time.Second > profileMax) {
			guard.Refuse(w, http.StatusBadRequest, "BAD_USER_INPUT", "a profile takes 1 to 60 seconds")
			return
		}
		profile(w, r)
	})
}

// state is the answer to a look at the dependencies.
type state struct {
	Status       string            `json:"status"`
	Dependencies map[string]string `json:"dependencies,omitempty"`
	// Errors say what is wrong with a dependency.
	Errors map[string]string `json:"errors,omitempty"`
}

// stateOf is the state of the dependencies. Without Redis the service is degraded, not down.
func stateOf(health store.Health) (code int, answer state) {
	code, answer = http.StatusOK, state{Status: "ready", Dependencies: map[string]string{"database": "up", "redis": "up"}, Errors: map[string]string{}}
	if health.Redis != nil {
		answer.Status, answer.Dependencies["redis"], answer.Errors["redis"] = "degraded", "down", health.Redis.Error()
	}
	if health.Polling {
		answer.Dependencies["notifications"] = "polling"
	}
	if health.HasReplica { // the database answers in its place
		answer.Dependencies["replica"] = "up"
		if health.Replica != nil {
			answer.Dependencies["replica"], answer.Errors["replica"] = "unused", health.Replica.Error()
		}
	}
	if health.Database != nil {
		code = http.StatusServiceUnavailable
		answer.Status, answer.Dependencies["database"], answer.Errors["database"] = "unavailable", "down", health.Database.Error()
	}
	return code, answer
}

// Ready answers a load balancer: the state of each dependency, without what is wrong. It
// looks once a second at most. A server that is stopping is not ready, whatever its
// dependencies are.
func Ready(health func(ctx context.Context) store.Health, stopping *atomic.Bool) http.HandlerFunc {
	look := newSharedLook(health)
	return func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			writeHealth(w, http.StatusServiceUnavailable, state{Status: "stopping"})
			return
		}
		code, answer := stateOf(look.latest(r.Context()))
		answer.Errors = nil
		writeHealth(w, code, answer)
	}
}

// Healthy answers a load balancer that asks whether the process lives.
func Healthy(w http.ResponseWriter, _ *http.Request) {
	writeHealth(w, http.StatusOK, state{Status: "ok"})
}

func writeHealth(w http.ResponseWriter, code int, answer state) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(answer)
}
