package ratelimit

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
)

// Document charges the caller for a document that is not in the cache, before it is
// parsed. It returns nil, or the refusal.
func (l *Limiter) Document(ctx context.Context, text string) *gqlerror.Error {
	return l.Spend(ctx, Documents, max(documentCostMin, len(text))).presented()
}

// Operation charges the caller for an operation, before it is executed. It returns nil,
// or the refusal. A subscription over a transport that sends one answer is refused, or
// prepared again for a stream: it costs nothing here.
func (l *Limiter) Operation(ctx context.Context, operation *graphql.OperationContext, cost guard.Cost) *gqlerror.Error {
	class := Reads
	switch operation.Operation.Operation {
	case ast.Mutation:
		class = Writes
	case ast.Subscription:
		if !guard.IsStreaming(ctx) {
			return nil
		}
		class = Subscriptions
	}
	return l.Spend(ctx, class, RequestCost+cost.Complexity).presented()
}
