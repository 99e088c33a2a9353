package transport

import (
	"bytes"
	"context"
	"net/http"
	"sync"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/graph/transport/jsonresponse"
	"onhand/models"
)

// array is the requests of one array, as clients send it that join the requests of one
// moment (query batching). Each has an answer of its own, in the same place. The array
// is refused whole, before anything is executed, when it exceeds a limit.
type array struct {
	exec     graphql.GraphExecutor
	requests []arrayRequest
}

// arrayRequest is a request of an array: an operation, or errs that refuse it.
type arrayRequest struct {
	operation *graphql.OperationContext
	errs      gqlerror.List
}

// answerArray answers an array of requests in JSON, with status 200. No specification
// has another media type for it.
func answerArray(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, requests []*graphql.RawParams) {
	a := array{exec: exec}
	if excess := a.prepare(r, requests); excess != "" {
		guard.Refuse(w, http.StatusUnprocessableEntity, models.CodeBadUserInput, excess)
		return
	}
	answers := a.execute(r.Context())
	if r.Context().Err() == nil {
		write(w, r, mediaJSON, http.StatusOK, join(answers))
	}
}

// prepare parses and validates every request, and executes none.
func (a *array) prepare(r *http.Request, requests []*graphql.RawParams) (excess string) {
	var sum guard.Array
	ctx := sum.With(r.Context())
	for _, params := range requests {
		params.Headers = r.Header
		operation, errs := a.exec.CreateOperationContext(ctx, params)
		if sum.Excess() != "" {
			return sum.Excess()
		}
		a.requests = append(a.requests, arrayRequest{operation, errs})
	}
	return ""
}

// execute returns the answers in the order of the requests. Queries run concurrently. A
// mutation runs after all requests before it, and before all requests after it.
func (a *array) execute(ctx context.Context) [][]byte {
	answers := make([][]byte, len(a.requests))
	var running sync.WaitGroup
	for i, request := range a.requests {
		if request.isMutation() {
			running.Wait()
			answers[i] = a.answer(ctx, request)
			continue
		}
		running.Go(func() { answers[i] = a.answer(ctx, request) })
	}
	running.Wait()
	return answers
}

func (q arrayRequest) isMutation() bool {
	return q.errs == nil && q.operation.Operation.Operation == ast.Mutation
}

// answer executes one request. It encodes the response here, because its data may be
// used again.
func (a *array) answer(ctx context.Context, request arrayRequest) (answer []byte) {
	ctx = graphql.WithOperationContext(ctx, request.operation)
	defer func() {
		if p := recover(); p != nil {
			err := gqlerror.WrapIfUnwrapped(request.operation.Recover(ctx, p))
			answer = encoded(a.exec.DispatchError(ctx, gqlerror.List{err}))
		}
	}()
	if request.errs != nil {
		return encoded(a.exec.DispatchError(ctx, request.errs))
	}
	responses, ctx := a.exec.DispatchOperation(ctx, request.operation)
	response := responses(ctx)
	if response == nil { // the client has gone
		return nil
	}
	return encoded(response)
}

func encoded(response *graphql.Response) []byte {
	return jsonresponse.Append(make([]byte, 0, len(response.Data)+responseBytes), response)
}

// responseBytes is what a response has beside its data.
const responseBytes = 32

func join(answers [][]byte) []byte {
	joined := append([]byte{'['}, bytes.Join(answers, []byte{','})...)
	return append(joined, ']')
}
