package guard

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// The limits of one request. The largest real cart we know (1,114 lines) takes
// about 70 kB.
const (
	BodyBytesMax    = 1 << 20
	TokensMax       = 3_000  // validation grows with their square; large carts go into variables
	ComplexityMax   = 30_000 // 250 products with everything, levels and locations
	ComplexityLines = 20     // what a reservation's lines are reckoned to be
	ComplexityList  = 5      // what a list without arguments is reckoned to hold
)

// Refuse answers outside of GraphQL in GraphQL's form.
func Refuse(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(&graphql.Response{Errors: gqlerror.List{{
		Message: message, Extensions: map[string]any{"code": code},
	}}})
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
	Refuse(w, http.StatusRequestEntityTooLarge, string(models.CodeBadUserInput), "the request is larger than 1 MiB")
}

func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		refuseSize(w)
		return
	}
	Refuse(w, http.StatusBadRequest, string(models.CodeBadUserInput), "the request's body could not be read")
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
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{{
			Message:    "subscriptions need a WebSocket (graphql-transport-ws) or server-sent events (Accept: text/event-stream)",
			Extensions: map[string]any{"code": string(models.CodeBadUserInput)},
		}}})
	}
	return next(ctx)
}
