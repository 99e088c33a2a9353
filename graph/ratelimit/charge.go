package ratelimit

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/models"
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

// Body charges the caller for the bytes of a body, before they are decoded.
//
// Errors: RATE_LIMITED, with the extensions of an error of GraphQL.
func (l *Limiter) Body(ctx context.Context, bytes int64) error {
	if refusal := l.Spend(ctx, Reads, int(bytes/bytesPerUnit)); refusal != nil {
		return refusal.presented()
	}
	return nil
}

// Failed charges the caller for a request that is refused before it is executed: it costs
// what one does that asks for next to nothing. It returns nil, or the refusal that takes
// the place of the others.
func (l *Limiter) Failed(ctx context.Context, errs gqlerror.List) *gqlerror.Error {
	for _, err := range errs {
		if err.Extensions["code"] == string(models.CodeRateLimited) {
			return nil
		}
	}
	return l.Spend(ctx, Reads, RequestCost).presented()
}

// AdmitToken refuses to verify a token of an address that has sent too many that were not
// accepted. Those that are known already need no verification.
//
// Errors: RATE_LIMITED.
func (l *Limiter) AdmitToken(ctx context.Context) error {
	if refusal := l.UsedUp(ctx, Tokens); refusal != nil {
		return refusal.presented()
	}
	return nil
}

// RefusedToken charges the client's address for a token that was not accepted.
func (l *Limiter) RefusedToken(ctx context.Context) { l.Spend(ctx, Tokens, 1) }
