package execution

import (
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

// EventPaths begins the paths of errors inside the events of a subscription with the subscription's field, as the GraphQL
// specification asks. gqlgen begins them below it. It is an operation interceptor.
func EventPaths(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	responses := next(ctx)
	operation := graphql.GetOperationContext(ctx)
	if operation.Operation == nil || operation.Operation.Operation != ast.Subscription {
		return responses
	}
	fields := graphql.CollectFields(operation, operation.Operation.SelectionSet, []string{"Subscription"})
	if len(fields) != 1 {
		return responses
	}
	return func(ctx context.Context) *graphql.Response {
		return responses(graphql.WithFieldContext(ctx, &graphql.FieldContext{Object: "Subscription", Field: fields[0]}))
	}
}
