package tracing

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// The tests of this package are not parallel: they switch tracing on and off.

// recorder returns a tracer that samples, and its spans.
func recorder(t *testing.T) (trace.Tracer, *tracetest.InMemoryExporter) {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	t.Cleanup(func() { _ = provider.Shutdown(context.Background()) })
	return provider.Tracer("test"), spans
}

func switchTo(t *testing.T, on bool) {
	t.Helper()
	before := enabled.Load()
	enabled.Store(on)
	t.Cleanup(func() { enabled.Store(before) })
}

// TestOffCostsNothing: while tracing is off, nothing is allocated and nothing recorded, even
// below a recorded span.
func TestOffCostsNothing(t *testing.T) {
	tracer, spans := recorder(t)
	switchTo(t, false)
	ctx, parent := tracer.Start(t.Context(), "request")
	assert.Zero(t, testing.AllocsPerRun(100, func() {
		below, span := Start(ctx, "work")
		span.Int("n", 1)
		span.Text("s", "x")
		span.Fail("why")
		var callers Callers
		callers.Add(Current(below))
		_, batch := callers.Start(below, "batch")
		batch.End()
		span.End()
	}))
	assert.Empty(t, TraceID(ctx))
	parent.End()
	assert.Len(t, spans.GetSpans(), 1)
}

// TestStart: a span is made below a recorded one only.
func TestStart(t *testing.T) {
	tracer, spans := recorder(t)
	switchTo(t, true)
	ctx, span := Start(t.Context(), "nothing above")
	assert.False(t, span.Recorded())
	assert.Equal(t, t.Context(), ctx)

	ctx, parent := tracer.Start(t.Context(), "request")
	below, span := Start(ctx, "work")
	assert.Equal(t, parent.SpanContext().TraceID().String(), TraceID(below))
	span.Int("onhand.products", 3)
	span.Fail("UNAVAILABLE")
	span.End()
	parent.End()
	_, late := Start(ctx, "after its end")
	assert.False(t, late.Recorded())

	made := spans.GetSpans()
	require.Len(t, made, 2)
	assert.Equal(t, "work", made[0].Name)
	assert.Equal(t, parent.SpanContext().SpanID(), made[0].Parent.SpanID())
	assert.Equal(t, "UNAVAILABLE", made[0].Status.Description)
	assert.Equal(t, int64(3), made[0].Attributes[0].Value.AsInt64())
}

// TestCallers: the span of a batch is below its first caller, and linked with the others in
// both directions. One that joins later is linked too. The links are bounded.
func TestCallers(t *testing.T) {
	tracer, spans := recorder(t)
	switchTo(t, true)
	requests := make([]trace.Span, callersMax+10)
	var callers Callers
	for i := range requests {
		var ctx context.Context
		ctx, requests[i] = tracer.Start(t.Context(), "request")
		callers.Add(Current(ctx))
	}
	_, batch := callers.Start(context.Background(), "batch")
	lateCtx, late := tracer.Start(t.Context(), "late")
	callers.Add(Current(lateCtx))
	batch.End()
	late.End()
	requests[1].End()

	made := spans.GetSpans()
	require.Len(t, made, 3)
	assert.Equal(t, requests[0].SpanContext().SpanID(), made[0].Parent.SpanID())
	assert.Len(t, made[0].Links, callersMax-1)
	assert.Equal(t, requests[1].SpanContext().SpanID(), made[0].Links[0].SpanContext.SpanID())
	for _, caller := range made[1:] {
		require.Len(t, caller.Links, 1, caller.Name)
		assert.Equal(t, made[0].SpanContext.SpanID(), caller.Links[0].SpanContext.SpanID())
	}

	var none Callers
	none.Add(RecordedSpan{})
	ctx, nothing := none.Start(t.Context(), "batch")
	assert.False(t, nothing.Recorded())
	assert.Equal(t, t.Context(), ctx)
}
