package telemetry

import (
	"math/rand/v2"
	"net/http"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"onhand/graph/guard"
	"onhand/graph/transport"
)

// requestIDHeader has the id of a request, and that of its answer.
const requestIDHeader = "X-Request-Id"

// requestIDBytesMax bounds the id that a trusted caller gives a request.
const requestIDBytesMax = 64

// RequestConfig decides on the ids and spans of requests.
type RequestConfig struct {
	// Trusts reports whether the request's own ids count.
	Trusts func(*http.Request) bool
	// Tracer makes spans; nil for none.
	Tracer trace.Tracer
}

// WithIDs gives each request its id, which the answer has too, and a span. A WebSocket and
// an event stream have no span: their operations do.
func WithIDs(next http.Handler, config RequestConfig) http.Handler {
	if !Instrumented {
		return next
	}
	if config.Tracer != nil {
		next = withSpans(next, config)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := ""
		if sent := r.Header[requestIDHeader]; len(sent) == 1 && isRequestID(sent[0]) && config.Trusts(r) {
			id = sent[0]
		} else {
			id = newRequestID()
		}
		r, header := guard.WithRequestID(r, id)
		w.Header()[requestIDHeader] = header
		next.ServeHTTP(w, r)
	})
}

// newRequestID makes an id. It need not be secret.
func newRequestID() string {
	const digits = "0123456789abcdef"
	var text [16]byte
	bits := rand.Uint64()
	for i := range text {
		text[i] = digits[bits&15]
		bits >>= 4
	}
	return string(text[:])
}

// isRequestID reports whether a text may be an id in the log.
func isRequestID(text string) bool {
	if text == "" || len(text) > requestIDBytesMax {
		return false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}

// withSpans makes the span of each request, below that of a trusted caller.
func withSpans(next http.Handler, config RequestConfig) http.Handler {
	parents := propagation.TraceContext{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			next.ServeHTTP(w, r)
			return
		}
		ctx := r.Context()
		if r.Header.Get("Traceparent") != "" && config.Trusts(r) {
			ctx = parents.Extract(ctx, propagation.HeaderCarrier(r.Header))
		}
		if transport.PrefersEvents(r) {
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		name, method := methodOf(r)
		ctx, span := config.Tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		if span.IsRecording() {
			span.SetAttributes(attribute.String("http.request.method", method), attribute.String("onhand.request_id", guard.RequestID(ctx)))
		}
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// methodOf returns the name of a request's span and its method as an attribute. The client may
// send any text as a method: OpenTelemetry's conventions have names for those that it does not
// know.
func methodOf(r *http.Request) (name, method string) {
	switch r.Method {
	case http.MethodGet, http.MethodPost, http.MethodOptions, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect, http.MethodTrace:
		return r.Method, r.Method
	}
	return "HTTP", "_OTHER"
}
