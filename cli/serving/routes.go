package serving

import (
	"io"
	"log/slog"
	"net/http"
	"sync/atomic"

	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"

	"onhand/cli/serving/admin"
	"onhand/cli/serving/telemetry"
	"onhand/graph"
	"onhand/graph/federation"
	"onhand/graph/guard"
	"onhand/graph/instrumentation"
	"onhand/graph/ratelimit"
	"onhand/graph/securitylog"
	"onhand/graph/transport"
	"onhand/graph/transport/admission"
	"onhand/graph/trusted"
	"onhand/graph/viewer"
	"onhand/store"
	"onhand/web"
)

// routeConfig decides on callers, documents and streams.
type routeConfig struct {
	sites       *guard.Sites       // which hosts and pages may call the server
	bearer      *guard.Bearer      // checks tokens; nil grants every scope
	proxies     guard.Proxies      // may say where a request comes from
	limiter     *ratelimit.Limiter // nil: nothing bounds what callers use
	interpreted bool               // no query is compiled
	streams     admission.StreamBounds
	open        *connections
	documents   DocumentSettings
	trusted     *trusted.TrustedDocuments // nil for none
	registry    *prometheus.Registry      // of the store's metrics; nil for a new one
	traces      *telemetry.Traces         // nil for none
	quantityCap viewer.QuantityCap
	version     string       // of the program
	shoppers    int          // that are simulated
	stopping    *atomic.Bool // the server takes its last requests; nil for never
}

// routes is the handler of the whole server.
func routes(st *store.Store, closing *transport.Closing, log *slog.Logger, config routeConfig) http.Handler {
	identify, connect := guard.Local, transport.ConnectFunc(nil)
	refusals := securitylog.New(log)
	config.sites.OnRefused(config.proxies, refusals.RefusedRequest)
	if config.bearer != nil {
		config.bearer.OnRefused = refusals.RefusedRequest
		identify = func(next http.Handler) http.Handler { // the log of refused tokens has the address
			return guard.WithAddress(config.bearer.Handler(next), config.proxies)
		}
		connect = config.bearer.Connect
	}
	documents, tokensConfigured, playground := &config.documents, config.bearer != nil, ""
	if documents.playgroundIsPublic(tokensConfigured) {
		playground = playgroundPath
	}
	if config.registry == nil {
		config.registry = newRegistry(st)
	}
	config.registry.MustRegister(config.traces.Collectors()...)
	api := graph.Handler(graph.HandlerConfig{
		Operations: config.operations(log),
		Production: documents.production(tokensConfigured),
		Trusted:    config.trusted,
		Connect:    connect, SecurityLog: refusals,
		Resolver:   config.resolver(st, closing, log),
		Closing:    closing,
		Streams:    config.streams,
		Allows:     config.sites.Allows,
		Proxies:    config.proxies,
		Limiter:    config.limiter,
		Playground: playground, Interpreted: config.interpreted,
	})
	config.registry.MustRegister(newStreamMetrics(closing))
	config.registry.MustRegister(config.open.collectors()...)
	if config.limiter != nil {
		countRefusals(config.registry, config.limiter)
	}
	mux := http.NewServeMux()
	mux.Handle(graphqlPath, telemetry.CountRequests(config.registry, closing, allowPages(config.sites)(identify(trusted.WithGateways(documents.GatewayKey, api)))))
	if config.bearer == nil { // otherwise the admin listener has them
		mux.Handle("GET /metrics", admin.Metrics(config.registry, log))
	}
	mux.Handle("GET /schema.graphql", identify(documents.schemaPage(tokensConfigured, gzhttp.GzipHandler(http.HandlerFunc(serveSchema)))))
	page := identify(documents.playgroundPage(tokensConfigured, gzhttp.GzipHandler(web.Playground(graphqlPath))))
	mux.Handle(playgroundPath, page)
	mux.Handle(playgroundPath+"/", page)
	mux.Handle("/", gzhttp.GzipHandler(web.Board()))
	mux.HandleFunc("GET "+healthPath, admin.Healthy)
	if config.stopping == nil {
		config.stopping = &atomic.Bool{}
	}
	mux.HandleFunc("GET "+readyPath, admin.Ready(st.Health, config.stopping))
	trusts := func(r *http.Request) bool { return config.bearer == nil || config.proxies.Sent(r) }
	answered := closeWhen(config.stopping, withHeaders(config.sites.Handler(mux)))
	return telemetry.WithIDs(answered, telemetry.RequestConfig{Trusts: trusts, Tracer: config.traces.Tracer()})
}

// operations measures operations. Where tokens are configured, callers without a scope give
// no metric a name: shoppers, with a token or without, could use up its names.
func (c *routeConfig) operations(log *slog.Logger) *instrumentation.Operations {
	if !telemetry.Instrumented {
		return nil
	}
	config := instrumentation.OperationsConfig{Registry: c.registry, Tracer: c.traces.Tracer(), Log: log}
	if c.trusted != nil {
		config.Trusted = c.trusted.Has
	}
	if c.bearer != nil {
		config.Names = guard.HasAnyScope
	}
	return instrumentation.New(config)
}

// resolver resolves over a store.
func (c *routeConfig) resolver(st *store.Store, closing *transport.Closing, log *slog.Logger) *graph.Resolver {
	return &graph.Resolver{Store: st, Log: log, QuantityCap: c.quantityCap, Federation: federation.Mode(c.documents.Federation), Process: func() graph.ProcessState {
		return graph.ProcessState{Version: c.version, Sockets: int(closing.Sockets()), SimulatedShoppers: c.shoppers}
	}}
}

// serveSchema answers with the schema, for code generators. Browsers show it as text.
func serveSchema(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = io.WriteString(w, graph.SDL())
}
