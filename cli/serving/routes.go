package serving

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/graph/transport/admission"
	"onhand/graph/trusted"
	"onhand/store"
	"onhand/web"
)

// readyTimeout bounds a readiness check and a scrape of the metrics.
const readyTimeout = 2 * time.Second

// routeConfig decides on callers, documents and streams.
type routeConfig struct {
	sites       *guard.Sites  // which hosts and pages may call the server
	bearer      *guard.Bearer // checks tokens; nil grants every scope
	interpreted bool          // no query is compiled
	streams     admission.StreamBounds
	open        *connections
	documents   DocumentSettings
	trusted     *trusted.TrustedDocuments // nil for none
}

// routes is the handler of the whole server.
func routes(st *store.Store, closing *transport.Closing, log *slog.Logger, config routeConfig) http.Handler {
	identify, connect := guard.Local, transport.ConnectFunc(nil)
	if config.bearer != nil {
		identify, connect = config.bearer.Handler, config.bearer.Connect
	}
	documents, tokensConfigured, playground := &config.documents, config.bearer != nil, ""
	if documents.playgroundIsPublic(tokensConfigured) {
		playground = playgroundPath
	}
	api := graph.Handler(graph.HandlerConfig{
		Production: documents.production(tokensConfigured),
		Trusted:    config.trusted,
		Connect:    connect,
		Resolver:   &graph.Resolver{Store: st, Log: log},
		Closing:    closing,
		Streams:    config.streams,
		Allows:     config.sites.Allows,
		Playground: playground, Interpreted: config.interpreted,
	})
	registry := newRegistry(st)
	registry.MustRegister(newStreamMetrics(closing))
	registry.MustRegister(config.open.collectors()...)
	mux := http.NewServeMux()
	mux.Handle(graphqlPath, countRequests(registry, closing, allowPages(config.sites)(identify(api))))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: scrapeLog{log}, Timeout: readyTimeout}))
	mux.Handle("GET /schema.graphql", identify(documents.schemaPage(tokensConfigured, gzhttp.GzipHandler(http.HandlerFunc(serveSchema)))))
	page := identify(documents.playgroundPage(tokensConfigured, gzhttp.GzipHandler(web.Playground(graphqlPath))))
	mux.Handle(playgroundPath, page)
	mux.Handle(playgroundPath+"/", page)
	mux.Handle("/", gzhttp.GzipHandler(web.Front()))
	mux.HandleFunc("GET "+healthPath, func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.HandleFunc("GET "+readyPath, ready(st))
	return withHeaders(config.sites.Handler(mux))
}

// ready answers a load balancer, and lists the state of each dependency. Without
// Redis the service is degraded, not down. The answer does not say why a
// dependency is down: the log does.
func ready(st *store.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		health := st.Health(ctx)
		status, code := "ready", http.StatusOK
		states := map[string]string{"database": "up", "redis": "up"}
		if health.Redis != nil {
			status, states["redis"] = "degraded", "down"
		}
		if health.Database != nil {
			status, code, states["database"] = "unavailable", http.StatusServiceUnavailable, "down"
		}
		writeJSON(w, code, map[string]any{"status": status, "dependencies": states})
	}
}

// serveSchema answers with the schema, for code generators. Browsers show it as text.
func serveSchema(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = io.WriteString(w, graph.SDL())
}

func writeJSON(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}
