package transport

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// errorsMax is how many things that are wrong with one request are told: a few
// hundred fields can clash in thousands of pairs.
const errorsMax = 20

func first(errs gqlerror.List) gqlerror.List { return errs[:min(len(errs), errorsMax)] }

// streamed is an executor for gqlgen's transports, which write responses
// themselves.
type streamed struct{ graphql.GraphExecutor }

// CreateOperationContext implements graphql.GraphExecutor.
func (s streamed) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	operation, errs := s.GraphExecutor.CreateOperationContext(ctx, params)
	return operation, first(errs)
}

// DispatchError implements graphql.GraphExecutor.
func (s streamed) DispatchError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	return marked(s.GraphExecutor.DispatchError(ctx, errs))
}

// DispatchOperation implements graphql.GraphExecutor.
func (s streamed) DispatchOperation(ctx context.Context, operation *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	responses, ctx := s.GraphExecutor.DispatchOperation(ctx, operation)
	return func(ctx context.Context) *graphql.Response { return marked(responses(ctx)) }, ctx
}

// What was not executed has no data, not even null, but gqlgen's Response has
// no way to say so. It gets data that no execution has, and leaves it on its
// way out.
const noData = "0"

func marked(response *graphql.Response) *graphql.Response {
	if response != nil && response.Data == nil && len(response.Errors) > 0 {
		response.Data = []byte(noData)
	}
	return response
}

// unmarked takes the mark out of a response in JSON that ends with end.
func unmarked(data []byte, end string) []byte {
	if rest, ok := bytes.CutSuffix(data, []byte(`,"data":`+noData+`}`+end)); ok {
		return append(bytes.Clone(rest), "}"+end...)
	}
	return data
}
