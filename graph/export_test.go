package graph

import (
	"context"
	"net/http"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
)

// CompiledHandler is Handler, and counts the operations that gqlgen's executor answers.
func CompiledHandler(config HandlerConfig, interpreted *atomic.Int64) http.Handler {
	counted := countingSchema{ExecutableSchema: reference(config.Resolver), count: interpreted}
	return handlerOver(compiledOver(counted, config.Resolver), config)
}

// countingSchema counts the operations that it executes.
type countingSchema struct {
	graphql.ExecutableSchema
	count *atomic.Int64
}

// Exec implements graphql.ExecutableSchema.
func (s countingSchema) Exec(ctx context.Context) graphql.ResponseHandler {
	s.count.Add(1)
	return s.ExecutableSchema.Exec(ctx)
}
