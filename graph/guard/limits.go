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

	"onhand/graph/coding"
	"onhand/models"
)

// The limits of one request. The largest cart of the recorded traffic (1,114 lines)
// takes about 70 kB.
const (
	BodyBytesMax       = 1 << 20
	DocumentBytesMax   = 64 << 10 // GraphiQL's introspection query has 2 kB; the lines of a large cart are variables
	TokensMax          = 3_000    // of a document
	ComplexityMax      = 30_000   // 250 products with all fields, their levels and locations
	ComplexityWriteMax = 60_000   // the complexity of a mutation: 2,000 lines, or 1,000 rows, with all fields
	KeysMax            = 5_000    // ids, lines, rows and representations of one operation: 20 pages of products
	EntitiesMax        = 1_000    // representations of one _entities field

	// The cost of a field itself, without its selections.
	ComplexityRead  = 10  // one id of a batched read
	ComplexityPage  = 500 // a SELECT of its own
	ComplexityWrite = 500 // a transaction

	// The length that a list without arguments counts as.
	ComplexityLines  = 100 // a reservation's lines, the products of a write; few carts have more, the limit is 2,000
	ComplexityPlaces = 20  // all locations, all channels
	ComplexityList   = 5   // levels, allocations, errors
)

// refusal is an error with a code.
func refusal(code models.Code, format string, args ...any) *gqlerror.Error {
	return &gqlerror.Error{Message: fmt.Sprintf(format, args...), Extensions: map[string]any{"code": string(code)}}
}

// Refuse answers a request that is not executed, in GraphQL's form. Such an answer has
// no data, not even null.
func Refuse(w http.ResponseWriter, status int, code models.Code, message string) {
	writeRefusal(w, status, refusal(code, "%s", message))
}

func writeRefusal(w http.ResponseWriter, status int, shown *gqlerror.Error) {
	header := w.Header()
	header.Set("Content-Type", "application/json; charset=utf-8")
	header.Set("Cache-Control", "private, no-store") // caches keep some refusals otherwise
	header.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]gqlerror.List{"errors": {shown}})
}

// bodies decompresses the bodies of requests.
var bodies = coding.NewBodies(BodyBytesMax)

// Body bounds the size of a request's body, before and after decompression. It replaces
// a compressed body with what it contains. charge is asked before a long body, and each
// compressed one, is read or decompressed; nil: all are.
func Body(next http.Handler, charge BodyCharge) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > BodyBytesMax {
			refuseSize(w)
			return
		}
		if charge != nil {
			facts, charged := factsOf(r)
			facts.charge, r = charge, charged
		}
		if err := ChargeBody(r.Context(), costingBytes(r)); err != nil {
			refuseExcess(w, err)
			return
		}
		if r.ContentLength < 0 { // otherwise net/http reads no more than that
			r.Body = http.MaxBytesReader(w, r.Body, BodyBytesMax)
		}
		if r.ContentLength != 0 && !decompress(w, r) {
			return
		}
		if r.ContentLength < 0 && !replaceBody(w, r, coding.None) { // the client did not send the size
			return
		}
		next.ServeHTTP(w, r)
	})
}

// decompress replaces a compressed body. It refuses other codings.
func decompress(w http.ResponseWriter, r *http.Request) (ok bool) {
	sent := r.Header["Content-Encoding"]
	if len(sent) == 0 {
		return true
	}
	used, ok := coding.Of(sent)
	switch {
	case !ok:
		w.Header().Set("Accept-Encoding", coding.Supported)
		Refuse(w, http.StatusUnsupportedMediaType, models.CodeBadUserInput, "the body's Content-Encoding is not supported: use gzip or zstd, or none")
		return false
	case used == coding.None:
		return true
	}
	if !replaceBody(w, r, used) {
		return false
	}
	r.Header.Del("Content-Encoding")
	r.Header.Del("Content-Length")
	return true
}

// replaceBody reads a body and lets the next reader read what it contains.
func replaceBody(w http.ResponseWriter, r *http.Request, used coding.Coding) (ok bool) {
	plain, err := bodies.Decode(used, r.Body)
	if err != nil {
		if used != coding.None { // it may have taken as long as the largest one
			_ = ChargeBody(r.Context(), BodyBytesMax) // what is refused is refused either way
		}
		refuseBody(w, err)
		return false
	}
	if more := len(plain) - int(costingBytes(r)); more > 0 {
		if err := ChargeBody(r.Context(), int64(more)); err != nil {
			refuseExcess(w, err)
			return false
		}
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(plain)), int64(len(plain))
	return true
}

func refuseSize(w http.ResponseWriter) {
	Refuse(w, http.StatusRequestEntityTooLarge, models.CodeBadUserInput, "the request is larger than 1 MiB")
}

func refuseBody(w http.ResponseWriter, err error) {
	var large *http.MaxBytesError
	if errors.As(err, &large) || errors.Is(err, coding.ErrTooLarge) {
		refuseSize(w)
		return
	}
	Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, "the request's body could not be read")
}

type streamingKey struct{}

// Streaming returns a context for a transport that can send many answers.
func Streaming(ctx context.Context) context.Context {
	return context.WithValue(ctx, streamingKey{}, true)
}

// IsStreaming reports whether the transport can send many answers.
func IsStreaming(ctx context.Context) bool { return ctx.Value(streamingKey{}) != nil }

// StreamsOnly refuses a subscription over a transport that sends one answer only. It is
// a gqlgen operation interceptor.
func StreamsOnly(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	op := graphql.GetOperationContext(ctx)
	if op.Operation != nil && op.Operation.Operation == "subscription" && !IsStreaming(ctx) {
		return graphql.OneShot(&graphql.Response{Errors: gqlerror.List{refusal(models.CodeBadUserInput,
			"subscriptions need a WebSocket (graphql-transport-ws) or server-sent events (Accept: text/event-stream)")}})
	}
	return next(ctx)
}
