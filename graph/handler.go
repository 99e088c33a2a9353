package graph

import (
	"net/http"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/99designs/gqlgen/graphql/handler/lru"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/loaders"
	"onhand/graph/transports"
	"onhand/models"
)

// documentsMax is how many parsed documents are kept.
const documentsMax = 100

// HandlerConfig is what the GraphQL endpoint needs.
type HandlerConfig struct {
	Resolver *Resolver
	// Closing ends all subscriptions.
	Closing *transports.Closing
	// Origins are the origins, as patterns of host and port, whose pages may
	// open a WebSocket beside the server's own.
	Origins []string
}

// Handler answers GraphQL: POST, GET (queries only), WebSocket
// (graphql-transport-ws) and server-sent events.
func Handler(config HandlerConfig) http.Handler {
	r := config.Resolver
	server := handler.New(generated.NewExecutableSchema(generated.Config{Resolvers: r, Complexity: complexity()}))
	server.AddTransport(transports.WebSocket(config.Closing, config.Origins))
	server.AddTransport(transports.SSE(config.Closing))
	server.AddTransport(transport.Options{})
	server.AddTransport(transport.GET{})
	server.AddTransport(transport.POST{})
	server.AddTransport(transports.Unsupported{})
	server.SetQueryCache(lru.New[*ast.QueryDocument](documentsMax))
	server.SetParserTokenLimit(guard.TokensMax)
	server.SetErrorPresenter(presenter(r.Log))
	server.SetRecoverFunc(recovered(r.Log))
	server.Use(extension.Introspection{})
	server.Use(extension.FixedComplexityLimit(guard.ComplexityMax))
	server.Use(loaders.PerResponse{Stocks: r.Store.Stocks, Reservations: r.Store.Reservations})
	server.AroundOperations(guard.StreamsOnly)
	return guard.Body(noUpgrade(server))
}

// noUpgrade passes over offers of other protocols, as servers may: Java's HTTP
// client offers h2c with every request. gqlgen would take it for a WebSocket.
func noUpgrade(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if offer := r.Header.Get("Upgrade"); offer != "" && !strings.EqualFold(offer, "websocket") {
			r.Header.Del("Upgrade")
		}
		next.ServeHTTP(w, r)
	})
}

var _ graphql.OperationMiddleware = guard.StreamsOnly

// complexity reckons what lists cost: as many times their elements as they may
// have.
func complexity() generated.ComplexityRoot {
	var c generated.ComplexityRoot
	c.Query.Stocks = func(child int, ids []string, _ *string) int { return child * max(1, len(ids)) }
	c.Query.Products = func(child int, first *int, _ *string, last *int, _ *string, _ *models.ProductFilter) int {
		n := models.PageSizeDefault
		for _, size := range []*int{first, last} {
			if size != nil {
				n = min(max(1, *size), models.PageSizeMax)
			}
		}
		return child * n
	}
	c.Reservation.Lines = func(child int) int { return child * guard.ComplexityLines }
	c.Stock.Levels = func(child int) int { return child * guard.ComplexityList }
	return c
}
