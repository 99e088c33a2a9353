package transport

import (
	"bytes"
	"context"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// errorsMax is how many errors of one request are sent. A few hundred fields can
// conflict in thousands of pairs.
const errorsMax = 20

func first(errs gqlerror.List) gqlerror.List { return errs[:min(len(errs), errorsMax)] }

// streamExecutor is an executor for gqlgen's streaming transports, which write the
// responses themselves.
type streamExecutor struct{ graphql.GraphExecutor }

// refusedKey is where an operation context has the errors that refuse it.
const refusedKey = "Refused"

// CreateOperationContext implements graphql.GraphExecutor. Clients look for the refusal
// of a hash in a result, not in the error that ends an operation over a WebSocket. gqlgen
// would send a result with null for data, so DispatchOperation does it.
func (s streamExecutor) CreateOperationContext(ctx context.Context, params *graphql.RawParams) (*graphql.OperationContext, gqlerror.List) {
	operation, errs := s.GraphExecutor.CreateOperationContext(ctx, params)
	if isHashRefusal(errs) {
		operation.Stats.SetExtension(refusedKey, errs)
		return operation, nil
	}
	return operation, first(errs)
}

// DispatchError implements graphql.GraphExecutor.
func (s streamExecutor) DispatchError(ctx context.Context, errs gqlerror.List) *graphql.Response {
	return withNoData(s.GraphExecutor.DispatchError(ctx, errs))
}

// DispatchOperation implements graphql.GraphExecutor.
func (s streamExecutor) DispatchOperation(ctx context.Context, operation *graphql.OperationContext) (graphql.ResponseHandler, context.Context) {
	if errs, refused := operation.Stats.GetExtension(refusedKey).(gqlerror.List); refused {
		return graphql.OneShot(s.DispatchError(ctx, errs)), ctx
	}
	responses, ctx := s.GraphExecutor.DispatchOperation(ctx, operation)
	return func(ctx context.Context) *graphql.Response { return withNoData(responses(ctx)) }, ctx
}

// noData is the data of a response that was not executed. Such a response has no data,
// not even null, but gqlgen's transports write null for missing data. The executor sets
// noData, which no execution returns, and withoutNoData removes it before it is sent.
const noData = "0"

func withNoData(response *graphql.Response) *graphql.Response {
	if response != nil && response.Data == nil && len(response.Errors) > 0 {
		response.Data = []byte(noData)
	}
	return response
}

// withoutNoData removes noData from a response in JSON that ends with end.
func withoutNoData(data []byte, end string) []byte {
	if rest, ok := bytes.CutSuffix(data, []byte(`,"data":`+noData+`}`+end)); ok {
		return append(bytes.Clone(rest), "}"+end...)
	}
	return data
}
