package instrumentation

import (
	"context"
	"log/slog"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/vektah/gqlparser/v2/ast"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"

	"onhand/tracing"
)

const (
	// slowAfter is how long an operation takes that is logged. A lone one takes a millisecond.
	slowAfter = time.Second
	// slowPerSecond bounds the lines about slow operations.
	slowPerSecond = 5
)

// clockStart is what operations are timed from: time.Since reads one clock, time.Now two.
var clockStart = time.Now()

// Operations measures operations. Make it with New, and use the extension of Around before
// all others: its times have theirs.
type Operations struct {
	seconds *operationSeconds
	errors  *errorCounts
	tracer  trace.Tracer // nil: no spans
	log     *slog.Logger
	slow    *rate.Limiter
}

// Around returns the gqlgen extension, with another response interceptor within: gqlgen makes
// a closure for each of an extension's interceptors and each request. Without a tracer
// nothing intercepts operations.
func (o *Operations) Around(inner graphql.ResponseInterceptor) graphql.HandlerExtension {
	responses := responseTimes{o, inner}
	if o.tracer == nil {
		return responses
	}
	return tracedTimes{responses}
}

// responseTimes is the extension of Around without traces.
type responseTimes struct {
	*Operations
	inner graphql.ResponseInterceptor
}

// tracedTimes is the one with traces.
type tracedTimes struct{ responseTimes }

var (
	_ graphql.ResponseInterceptor  = responseTimes{}
	_ graphql.OperationInterceptor = tracedTimes{}
)

// OperationsConfig is what Operations need.
type OperationsConfig struct {
	// Registry gets the metrics.
	Registry prometheus.Registerer
	// Trusted reports whether a document is one of the manifest of trusted documents; nil
	// where there is none.
	Trusted func(document string) bool
	// Names reports whether the caller of a context may give a name series of its own, where
	// there is no manifest; nil: every caller may.
	Names func(context.Context) bool
	// Tracer makes the spans; nil for none.
	Tracer trace.Tracer
	Log    *slog.Logger
}

// New registers the metrics.
func New(config OperationsConfig) *Operations {
	o := &Operations{
		seconds: newOperationSeconds(config), errors: newErrorCounts(), tracer: config.Tracer,
		log: config.Log, slow: rate.NewLimiter(slowPerSecond, slowPerSecond),
	}
	config.Registry.MustRegister(o.seconds.histogram, o.errors.total)
	return o
}

// ExtensionName implements graphql.HandlerExtension.
func (*Operations) ExtensionName() string { return "Instrumentation" }

// Validate implements graphql.HandlerExtension.
func (*Operations) Validate(graphql.ExecutableSchema) error { return nil }

// InterceptOperation implements graphql.OperationInterceptor. It makes the span of the start
// of a subscription.
func (o tracedTimes) InterceptOperation(ctx context.Context, next graphql.OperationHandler) graphql.ResponseHandler {
	operation := graphql.GetOperationContext(ctx)
	if operation.Operation == nil || operation.Operation.Operation != ast.Subscription {
		return next(ctx)
	}
	traced, span := o.start(ctx, operation.Operation)
	defer span.End()
	return next(traced)
}

// InterceptResponse implements graphql.ResponseInterceptor.
func (o responseTimes) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	var executed *graphql.OperationContext
	if graphql.HasOperationContext(ctx) {
		executed = graphql.GetOperationContext(ctx)
	}
	if executed == nil || executed.Operation == nil || executed.Operation.Operation == ast.Subscription {
		response := o.inner.InterceptResponse(ctx, next)
		o.errors.count(response)
		return response
	}
	operation := executed.Operation
	began := time.Since(clockStart)
	var span trace.Span
	if o.tracer != nil {
		ctx, span = o.start(ctx, operation)
		defer span.End()
	}
	response := o.inner.InterceptResponse(ctx, next)
	o.errors.count(response)
	took := time.Since(clockStart) - began
	o.seconds.observe(ctx, operation, executed.RawQuery, took)
	if span != nil && response != nil && len(response.Errors) > 0 {
		span.SetStatus(codes.Error, codeOf(response.Errors[0]))
	}
	if took > slowAfter && o.slow.Allow() {
		o.log.WarnContext(ctx, "slow operation", "type", string(operation.Operation), "name", bounded(operation.Name), "took", took)
	}
	return response
}

// start begins the span of an operation.
func (o *Operations) start(ctx context.Context, operation *ast.OperationDefinition) (context.Context, trace.Span) {
	kind, name := string(operation.Operation), bounded(operation.Name)
	title := kind
	if name != "" {
		title += " " + name
	}
	spanKind := trace.SpanKindInternal
	if parent := trace.SpanContextFromContext(ctx); !parent.IsValid() || parent.IsRemote() { // on a WebSocket or an event stream
		spanKind = trace.SpanKindServer
	}
	return o.tracer.Start(ctx, title, trace.WithSpanKind(spanKind),
		trace.WithAttributes(attribute.String("graphql.operation.type", kind), attribute.String("graphql.operation.name", name)))
}

// exemplarOf is the exemplar of a measurement; nil where its trace is not recorded.
func exemplarOf(ctx context.Context) prometheus.Labels {
	if id := tracing.TraceID(ctx); id != "" {
		return prometheus.Labels{"trace_id": id}
	}
	return nil
}
