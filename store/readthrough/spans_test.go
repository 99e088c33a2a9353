package readthrough

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"onhand/tracing"
)

// A batch of reads has one span, below the first caller that is traced and linked with the
// others, and the read below it gets its context. A caller that reads alone has one too.
func TestSpanOfABatch(t *testing.T) {
	t.Parallel()
	tracing.Enable()
	for name, direct := range map[string]bool{"joined": false, "alone": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { spanOfABatch(t, direct) })
		})
	}
}

func spanOfABatch(t *testing.T, direct bool) {
	spans := tracetest.NewInMemoryExporter()
	tracer := sdk.NewTracerProvider(sdk.WithSyncer(spans)).Tracer("test")
	release, below := make(chan struct{}), make(chan trace.SpanContext, 10)
	b := &batcher[string]{name: "read Redis", direct: direct, inFlightMax: 1, idsMax: 10, waitingMax: 2, read: func(ctx context.Context, ids []string, answer func([]string, error)) {
		below <- trace.SpanContextFromContext(ctx)
		<-release
		answer(ids, nil)
	}}
	load := func(name, id string) (trace.Span, chan error) {
		ctx, span := tracer.Start(t.Context(), name)
		done := make(chan error)
		go func() {
			_, err := b.load(ctx, []string{id})
			span.End()
			done <- err
		}()
		synctest.Wait()
		return span, done
	}
	alone, aloneDone := load("alone", "x")
	first, firstDone := load("first", "y")
	second, secondDone := load("second", "z")
	close(release)
	for _, done := range []chan error{aloneDone, firstDone, secondDone} {
		require.NoError(t, <-done)
	}
	synctest.Wait()
	batches, callers := map[trace.SpanID]tracetest.SpanStub{}, map[string]tracetest.SpanStub{}
	for _, span := range spans.GetSpans() {
		if span.Name == "read Redis" {
			batches[span.Parent.SpanID()] = span
		} else {
			callers[span.Name] = span
		}
	}
	require.Len(t, batches, 2)
	require.Equal(t, batches[alone.SpanContext().SpanID()].SpanContext.SpanID(), (<-below).SpanID())
	joined := batches[first.SpanContext().SpanID()]
	require.Equal(t, joined.SpanContext.SpanID(), (<-below).SpanID())
	require.Len(t, joined.Links, 1)
	require.Equal(t, second.SpanContext().SpanID(), joined.Links[0].SpanContext.SpanID())
	require.Equal(t, joined.SpanContext.SpanID(), callers["second"].Links[0].SpanContext.SpanID())
}
