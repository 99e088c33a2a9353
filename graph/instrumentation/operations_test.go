package instrumentation_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"onhand/graph/instrumentation"
	"onhand/tracing"
)

// measured executes operations and gives their metrics.
type measured struct {
	t        *testing.T
	registry *prometheus.Registry
	log      bytes.Buffer
	*instrumentation.Operations
	extension graphql.HandlerExtension
}

// within is the interceptor within; it does nothing.
type within struct{}

// InterceptResponse implements graphql.ResponseInterceptor.
func (within) InterceptResponse(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return next(ctx)
}

// respond executes a response in the extension.
func (m *measured) respond(ctx context.Context, next graphql.ResponseHandler) *graphql.Response {
	return m.extension.(graphql.ResponseInterceptor).InterceptResponse(ctx, next)
}

func measure(t *testing.T, config instrumentation.OperationsConfig) *measured {
	t.Helper()
	m := &measured{t: t, registry: prometheus.NewRegistry()}
	config.Registry, config.Log = m.registry, slog.New(slog.NewTextHandler(&m.log, nil))
	m.Operations = instrumentation.New(config)
	m.extension = m.Around(within{})
	return m
}

// run executes an operation, which takes a while and ends with errors of these codes.
func (m *measured) run(kind ast.Operation, name, document string, took time.Duration, codes ...string) {
	m.t.Helper()
	m.runAs(m.t.Context(), kind, name, document, took, codes...)
}

// runAs is run in a context with the caller.
func (m *measured) runAs(caller context.Context, kind ast.Operation, name, document string, took time.Duration, codes ...string) {
	m.t.Helper()
	ctx := graphql.WithOperationContext(caller, &graphql.OperationContext{RawQuery: document, Operation: &ast.OperationDefinition{Operation: kind, Name: name}})
	response := &graphql.Response{}
	for _, code := range codes {
		response.Errors = append(response.Errors, &gqlerror.Error{Extensions: map[string]any{"code": code}})
	}
	operation := func(context.Context) graphql.ResponseHandler {
		return func(ctx context.Context) *graphql.Response {
			return m.respond(ctx, func(context.Context) *graphql.Response {
				time.Sleep(took)
				return response
			})
		}
	}
	handler := operation(ctx)
	if traced, ok := m.extension.(graphql.OperationInterceptor); ok {
		handler = traced.InterceptOperation(ctx, operation)
	}
	require.Same(m.t, response, handler(ctx))
}

// counts are the counts of a metric by its labels.
func (m *measured) counts(metric string) map[string]int {
	m.t.Helper()
	families, err := m.registry.Gather()
	require.NoError(m.t, err)
	found := map[string]int{}
	for _, family := range families {
		if family.GetName() != metric {
			continue
		}
		for _, one := range family.GetMetric() {
			var labels []string
			for _, label := range one.GetLabel() {
				labels = append(labels, label.GetValue())
			}
			found[strings.Join(labels, " ")] = int(one.GetCounter().GetValue()) + int(one.GetHistogram().GetSampleCount())
		}
	}
	return found
}

const durations, errorsTotal = "onhand_graphql_operation_duration_seconds", "onhand_graphql_errors_total"

// TestNamesAreBounded: so many names have series of their own, and no long one. The others
// count together.
func TestNamesAreBounded(t *testing.T) {
	t.Parallel()
	m := measure(t, instrumentation.OperationsConfig{})
	for i := range 500 {
		m.run(ast.Query, fmt.Sprint("Q", i), "", 0)
	}
	m.run(ast.Query, "Q0", "", 0)
	m.run(ast.Mutation, "Q499", "", 0)
	m.run(ast.Query, "", "", 0)
	m.run(ast.Subscription, "Q0", "", 0)
	counts := m.counts(durations)
	assert.Equal(t, 2, counts["Q0 query"])
	assert.Equal(t, 1, counts["anonymous query"])
	assert.Equal(t, 1, counts[otherLabel("Q499")+" mutation"])
	named, shared := 0, 0
	for label, count := range counts {
		switch {
		case !strings.HasPrefix(label, "other-"):
			named++
		case strings.HasSuffix(label, "query"):
			shared += count
		}
	}
	assert.Greater(t, named, 90)
	assert.LessOrEqual(t, named, 100)
	assert.Equal(t, 500-(named-2), shared) // 2: anonymous queries and mutations
	assert.LessOrEqual(t, len(counts), 100+16+1)

	long := measure(t, instrumentation.OperationsConfig{})
	long.run(ast.Query, strings.Repeat("x", 65), "", 0)
	assert.Equal(t, 1, long.counts(durations)[otherLabel(strings.Repeat("x", 64))+" query"])
}

// otherLabel is the label that a name shares, as the guide for operators says: the first digit
// of its SHA-256 in hexadecimal.
func otherLabel(name string) string {
	return "other-" + fmt.Sprintf("%x", sha256.Sum256([]byte(name)))[:1]
}

// TestOtherNames: names without series of their own share series by their hash: each is found,
// whatever others are used, and none of them is the name.
func TestOtherNames(t *testing.T) {
	t.Parallel()
	m := measure(t, instrumentation.OperationsConfig{Trusted: func(string) bool { return false }})
	for i := range 300 {
		m.run(ast.Query, fmt.Sprint("Made", i), "", 0)
		m.run(ast.Mutation, fmt.Sprint("Made", i), "", 0)
	}
	before := m.counts(durations)
	assert.Len(t, before, 2+2*16)
	for label := range before {
		assert.Regexp(t, "^(anonymous|other-[0-9a-f]) (query|mutation)$", label)
	}
	m.run(ast.Query, "ProductPage", "", 0)
	assert.Equal(t, before[otherLabel("ProductPage")+" query"]+1, m.counts(durations)[otherLabel("ProductPage")+" query"])
}

// TestTrustedNames: with a manifest, only its documents give names.
func TestTrustedNames(t *testing.T) {
	t.Parallel()
	m := measure(t, instrumentation.OperationsConfig{Trusted: func(document string) bool { return document == "trusted" }})
	m.run(ast.Query, "Page", "trusted", 0)
	m.run(ast.Query, "Made", "up", 0)
	counts := m.counts(durations)
	assert.Equal(t, 1, counts["Page query"])
	assert.Equal(t, 1, counts[otherLabel("Made")+" query"])
	assert.NotContains(t, counts, "Made query")
}

// namingKey is in the context of a caller who may name series.
type namingKey struct{}

// TestWhoNames: names that strangers make up take no place from those of other callers. What
// strangers do under a name that has series counts there. With a manifest, it decides alone.
func TestWhoNames(t *testing.T) {
	t.Parallel()
	config := instrumentation.OperationsConfig{Names: func(ctx context.Context) bool { return ctx.Value(namingKey{}) != nil }}
	named := context.WithValue(t.Context(), namingKey{}, true)
	m := measure(t, config)
	for i := range 110 {
		m.run(ast.Query, fmt.Sprint("Made", i), "", 0)
	}
	m.run(ast.Query, "Page", "", 0)
	m.run(ast.Query, "", "", 0)
	m.runAs(named, ast.Query, "Page", "", 0)
	m.run(ast.Query, "Page", "", 0)
	m.run(ast.Mutation, "Page", "", 0)
	counts := m.counts(durations)
	assert.Equal(t, 2, counts["Page query"])
	assert.Equal(t, 1, counts["anonymous query"])
	assert.Equal(t, 1, counts[otherLabel("Page")+" mutation"])
	for label := range counts {
		assert.NotRegexp(t, "^Made", label)
	}

	config.Trusted = func(document string) bool { return document == "trusted" }
	manifest := measure(t, config)
	manifest.run(ast.Query, "Page", "trusted", 0)
	manifest.runAs(named, ast.Query, "Made", "up", 0)
	assert.Equal(t, 1, manifest.counts(durations)["Page query"])
	assert.Equal(t, 1, manifest.counts(durations)[otherLabel("Made")+" query"])
}

// TestErrorsByCode: each error counts, those of events and of refused requests too; the
// codes are those of the API.
func TestErrorsByCode(t *testing.T) {
	t.Parallel()
	m := measure(t, instrumentation.OperationsConfig{})
	assert.Contains(t, m.counts(errorsTotal), "INTERNAL", "from zero on")
	m.run(ast.Query, "", "", 0, "UNAVAILABLE", "UNAVAILABLE", "made up")
	m.run(ast.Subscription, "", "", 0, "FORBIDDEN")
	m.respond(t.Context(), func(context.Context) *graphql.Response {
		return &graphql.Response{Errors: gqlerror.List{{Extensions: map[string]any{"code": "GRAPHQL_PARSE_FAILED"}}}}
	})
	assert.Nil(t, m.respond(t.Context(), func(context.Context) *graphql.Response { return nil }))
	counts := m.counts(errorsTotal)
	for code, want := range map[string]int{"UNAVAILABLE": 2, "OTHER": 1, "FORBIDDEN": 1, "GRAPHQL_PARSE_FAILED": 1, "INTERNAL": 0} {
		assert.Equal(t, want, counts[code], code)
	}
}

// TestSlowOperations: an operation of more than a second is logged; the lines are bounded.
func TestSlowOperations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := measure(t, instrumentation.OperationsConfig{})
		m.run(ast.Query, "Fast", "", 900*time.Millisecond)
		m.run(ast.Query, "Slow", "", 1100*time.Millisecond)
		assert.Equal(t, 1, strings.Count(m.log.String(), "\n"))
		assert.Contains(t, m.log.String(), `msg="slow operation" type=query name=Slow took=1.1s`)
	})
}

// TestWithoutTracerCostsNoMemory: without a tracer, operations are not intercepted, and the
// metrics of a response take no memory. It is not parallel: it counts allocations.
func TestWithoutTracerCostsNoMemory(t *testing.T) {
	m := measure(t, instrumentation.OperationsConfig{})
	assert.NotImplements(t, (*graphql.OperationInterceptor)(nil), m.extension)
	ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query, Name: "Page"}})
	response := &graphql.Response{}
	next := func(context.Context) *graphql.Response { return response }
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.respond(ctx, next) }))
	assert.Positive(t, m.counts(durations)["Page query"])
	other := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{Operation: &ast.OperationDefinition{Operation: ast.Query, Name: strings.Repeat("x", 65)}})
	assert.Zero(t, testing.AllocsPerRun(100, func() { m.respond(other, next) }))
}

// TestSpans: an operation has a span with its name and the code of its failure, and so has
// the start of a subscription. Its time has the trace as exemplar.
func TestSpans(t *testing.T) {
	t.Parallel()
	tracing.Enable()
	spans := tracetest.NewInMemoryExporter()
	m := measure(t, instrumentation.OperationsConfig{Tracer: sdk.NewTracerProvider(sdk.WithSyncer(spans)).Tracer("test")})
	m.run(ast.Query, "Page", "", 0, "UNAVAILABLE")
	m.run(ast.Subscription, "Watch", "", 0)
	made := spans.GetSpans()
	require.Len(t, made, 2)
	assert.Equal(t, "query Page", made[0].Name)
	assert.Equal(t, "UNAVAILABLE", made[0].Status.Description)
	assert.Equal(t, "subscription Watch", made[1].Name)
	families, err := m.registry.Gather()
	require.NoError(t, err)
	exemplars := 0
	for _, family := range families {
		for _, one := range family.GetMetric() {
			for _, bucket := range one.GetHistogram().GetBucket() {
				for _, label := range bucket.GetExemplar().GetLabel() {
					assert.Equal(t, made[0].SpanContext.TraceID().String(), label.GetValue())
					exemplars++
				}
			}
		}
	}
	assert.Equal(t, 1, exemplars)
}
