package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// The limits of one request. The largest real cart we know (1,114 lines) takes
// about 70 kB.
const (
	BodyBytesMax  = 1 << 20
	TokensMax     = 3_000  // large carts go into variables
	ComplexityMax = 30_000 // 250 products with everything, levels and locations

	// What fields cost beside what they give.
	ComplexityRead  = 10  // one key of a batch
	ComplexityPage  = 500 // a SELECT of its own
	ComplexityWrite = 500 // a transaction

	// What lists without arguments are reckoned to hold.
	ComplexityLines  = 100 // a reservation's lines, the products of a write: few carts have more, the largest 2,000
	ComplexityPlaces = 20  // all locations, all channels
	ComplexityList   = 5   // levels, allocations, errors
)

// refusal is an error with a code.
func refusal(code models.Code, format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": string(code)}}
}

// Refuse answers outside of GraphQL in GraphQL's form: nothing was executed, so
// that there is no data, not even null.
func Refuse(w http.ResponseWriter, status int, code models.Code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]gqlerror.List{"errors": {refusal(code, "%s", message)}})
}

// Body bounds the size of a request's body.
func Body(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > BodyBytesMax {
			refuseSize(w)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, BodyBytesMax)
		if r.ContentLength < 0 { // nobody knows before it is read
			body, err := io.ReadAll(r.Body)
			if err != nil {
				refuseBody(w, err)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(w, r)
	})
}

func refuseSize(w http.ResponseWriter) {
	Refuse(w, http.StatusRequestEntityTooLarge, models.CodeBadUserInput, "the request is larger than 1 MiB")
}

func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuseSize(w)
		return
	}
	Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, "the request's body could not be read")
}

type streamingKey struct{}

// Streaming marks a context whose transport can carry many answers.
func Streaming(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamingKey{}, true)
}

// StreamsOnly refuses subscriptions over a transport that would answer once
// and stop. It is a gqlgen operation interceptor.
func StreamsOnly(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation != nil && op.Operation.Operation == "subscription" && ctx.Value(streamingKey{}) == nil {
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{refusal(models.CodeBadUserInput,
			"subscriptions need a WebSocket (graphql-transport-ws) or server-sent events (Accept: text/event-stream)")}})
	}
	return next(ctx)
}
