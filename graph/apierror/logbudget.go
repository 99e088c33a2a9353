package apierror

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/99designs/gqlgen/graphql"
)

// internalLogsMax is how many internal errors of one response are logged. One cause
// often fails every element of a list.
const internalLogsMax = 10

// logBudget bounds the log lines of one response.
type logBudget struct {
	outage   sync.Once // an outage fails every field that reads the store
	internal atomic.Int32
}

type logBudgetKey struct{}

// BoundLog gives each response a log budget of its own. It is a gqlgen response
// interceptor.
func BoundLog(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(context.WithValue(ctx, logBudgetKey{}, &logBudget{}))
}

// budgetOf returns the response's budget. Before a response begins there is at most
// one error, which gets a budget of its own.
func budgetOf(ctx context.Context) *logBudget {
	if b, ok := ctx.Value(logBudgetKey{}).(*logBudget); ok {
		return b
	}
	return &logBudget{}
}

func (b *logBudget) allowsInternal() bool { return b.internal.Add(1) <= internalLogsMax }
