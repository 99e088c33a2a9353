package graph

import (
	"cmp"
	"context"
	"embed"
	"io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/access"
	"onhand/graph/apierror"
	"onhand/graph/coercion"
	"onhand/graph/compiled"
	"onhand/graph/execution"
	"onhand/graph/federation"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/instrumentation"
	"onhand/graph/live"
	"onhand/graph/loaders"
	"onhand/graph/persisted"
	"onhand/graph/ratelimit"
	"onhand/graph/securitylog"
	"onhand/graph/transport"
	"onhand/graph/transport/admission"
	"onhand/graph/trusted"
)

// HandlerConfig is what the GraphQL endpoint needs.
type HandlerConfig struct {
	Resolver *Resolver
	// Closing ends all subscriptions.
	Closing *transport.Closing
	// Allows reports whether the page that sends a handshake may open a WebSocket.
	Allows func(*http.Request) bool
	// Streams are the bounds of WebSockets and event streams.
	Streams admission.StreamBounds
	// Connect decides on a WebSocket by its connection_init; nil to accept each one.
	Connect transport.ConnectFunc
	// Playground is the path of the page for a browser that asks for no document;
	// empty for none.
	Playground string
	// Production keeps the schema from callers without the scope admin: no introspection,
	// and no names of the schema in refusals.
	Production bool
	// Trusted are the documents of a manifest; nil for none.
	Trusted *trusted.TrustedDocuments
	// SecurityLog logs refusals and privileged operations; nil for a log of the resolver's
	// logger.
	SecurityLog *securitylog.Recorder
	// Operations measures operations; nil: nothing does.
	Operations *instrumentation.Operations
	// Limiter bounds what callers use; nil: nothing does.
	Limiter *ratelimit.Limiter
	// Proxies may say where a request comes from.
	Proxies guard.Proxies
	// Interpreted sends every operation to gqlgen's executor. By default package compiled
	// answers those that only read stock.
	Interpreted bool
}

// Handler answers GraphQL: POST (one request, or an array of them), GET (queries only),
// WebSocket (graphql-transport-ws) and server-sent events.
func Handler(config HandlerConfig) http.Handler {
	schema := reference(config.Resolver)
	if !config.Interpreted {
		schema = compiledOver(schema, config.Resolver)
	}
	return handlerOver(schema, config)
}

// reference is the schema with gqlgen's executor.
func reference(r *Resolver) graphql.ExecutableSchema {
	directives := generated.DirectiveRoot{Anonymous: access.Anonymous, Authenticated: access.Authenticated, RequiresScopes: access.RequiresScopes}
	config := generated.Config{Resolvers: r, Directives: directives, Complexity: complexity()}
	if r.Federation == federation.Off {
		config.Schema = withoutFederation()
	}
	return generated.NewExecutableSchema(config)
}

// accessRules are the rules of access of the schema.
var accessRules = sync.OnceValue(func() access.Table {
	return access.NewTable(generated.NewExecutableSchema(generated.Config{}).Schema())
})

// compiledOver is a schema whose reads of stock are compiled.
func compiledOver(reference graphql.ExecutableSchema, r *Resolver) graphql.ExecutableSchema {
	return live.New(compiled.New(reference, compiledReads{&queryResolver{r}}), r.Store, r.QuantityCap)
}

func handlerOver(schema graphql.ExecutableSchema, config HandlerConfig) http.Handler {
	r := config.Resolver
	documents, queries := guard.NewDocuments(), persisted.New(guard.Address)
	introspection := guard.Introspection{AdminOnly: config.Production}
	server := execution.NewServer(execution.New(schema, documents, introspection.Allowed))
	streams := transport.NewStreams(config.Closing, config.Streams)
	server.AddTransport(streams.WebSocket(config.Allows, config.Connect))
	server.AddTransport(streams.SingleConnections())
	server.AddTransport(transport.HTTP{Events: streams.SSE(), Playground: config.Playground})
	server.AddTransport(transport.Unsupported{})
	securityLog := cmp.Or(config.SecurityLog, securitylog.New(r.Log))
	if config.Operations != nil {
		server.Use(config.Operations.Around(securityLog))
	} else {
		server.Use(securityLog)
	}
	if config.Trusted != nil {
		server.Use(config.Trusted)
	}
	server.Use(queries)
	server.Use(documents)
	server.Use(&coercion.Variables{Suggests: introspection.Allowed})
	server.SetErrorPresenter(apierror.Presenter(r.Log))
	server.SetRecoverFunc(apierror.Recover(r.Log))
	server.Use(introspection)
	costs := &guard.Complexity{Limit: guard.ComplexityMax, WriteLimit: guard.ComplexityWriteMax, KeysLimit: guard.KeysMax, Arguments: argumentCosts()}
	var bodies guard.BodyCharge
	if limiter := config.Limiter; limiter != nil {
		documents.Charge, costs.Charge = limiter.Document, limiter.Operation
		server.OnFailed(limiter.Failed)
		bodies = func(ctx context.Context, bytes int64) error {
			err := limiter.Body(ctx, bytes)
			securityLog.RefusedRequest(ctx, err)
			return err
		}
	}
	server.Use(costs)
	server.Use(loaders.PerResponse{Stocks: r.Store.Stocks, Reservations: r.Store.Reservations})
	server.AroundOperations(guard.StreamsOnly)
	server.AroundOperations(execution.EventPaths)
	server.AroundResponses(apierror.BoundLog)
	return guard.WithAddress(guard.Body(ignoreOtherUpgrades(server), bodies), config.Proxies)
}

// CheckDocument says why a document cannot be executed, whatever its variables.
func CheckDocument(text string) error { return guard.CheckDocument(ownSchema(), text) }

var ownSchema = sync.OnceValue(func() *ast.Schema { return generated.NewExecutableSchema(generated.Config{}).Schema() })

//go:embed schema/*.graphqls
var schemaFiles embed.FS

// SDL returns the schema in GraphQL's schema definition language, for clients: one
// definition for each type, without what only gateways and the generator of the server
// read.
var SDL = sync.OnceValue(func() string { return federation.Clients(newSchema()) })

// SubgraphSDL returns the subgraph that gateways compose, in the same language.
func SubgraphSDL(mode federation.Mode) string {
	if mode == federation.Full {
		return fullSDL()
	}
	return subgraphSDL()
}

var (
	subgraphSDL = sync.OnceValue(func() string { return newSubgraphSDL(federation.Subgraph, false) })
	fullSDL     = sync.OnceValue(func() string { return newSubgraphSDL(federation.Full, false) })
)

// SubgraphWithoutAccess is SubgraphSDL without the directives of access.
func SubgraphWithoutAccess(mode federation.Mode) string { return newSubgraphSDL(mode, true) }

func newSubgraphSDL(mode federation.Mode, withoutAccess bool) string {
	return federation.SDL(newSchema(), federation.SubgraphOptions{Mode: mode, Costs: subgraphCosts(), WithoutAccess: withoutAccess})
}

// newSchema is the schema, for a caller that changes it.
func newSchema() *ast.Schema {
	names, _ := fs.Glob(schemaFiles, "schema/*.graphqls") // the pattern is valid
	sources := make([]*ast.Source, len(names))
	for i, name := range names {
		text, _ := schemaFiles.ReadFile(name) // embedded; cannot fail
		sources[i] = &ast.Source{Name: name, Input: string(text)}
	}
	return gqlparser.MustLoadSchema(sources...) // the server was generated from it
}

// withoutFederation is the schema of a server that is no subgraph.
var withoutFederation = sync.OnceValue(func() *ast.Schema {
	schema := newSchema()
	federation.Hide(schema)
	return schema
})

// ignoreOtherUpgrades removes offers to switch to a protocol other than WebSocket, as
// HTTP allows. Java's HTTP client offers h2c with every request, which would be
// refused as a WebSocket handshake.
func ignoreOtherUpgrades(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if offer := r.Header.Get("Upgrade"); offer != "" && !strings.EqualFold(offer, "websocket") {
			r.Header.Del("Upgrade")
		}
		next.ServeHTTP(w, r)
	})
}
