package groupcommit

import (
	"testing"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"onhand/tracing"
)

// A transaction has one span, below the first write that is traced, and linked with the
// others. Writes that are not traced have none.
func TestSpanOfATransaction(t *testing.T) {
	tracing.Enable()
	spans := tracetest.NewInMemoryExporter()
	provider := sdk.NewTracerProvider(sdk.WithSyncer(spans))
	inBubble(t, &fakeDatabase{}, CommitterSwitches{}, func(t *testing.T, s *setup) {
		s.submitAll("not traced")
		callers := map[string]trace.Span{}
		for _, key := range []string{"a", "b", "c"} {
			ctx := t.Context()
			if key != "b" {
				ctx, callers[key] = provider.Tracer("test").Start(ctx, key)
			}
			s.submit(ctx, key, "x")
		}
		s.release()
		for _, span := range callers {
			span.End()
		}
		made := map[string]tracetest.SpanStub{}
		for _, span := range spans.GetSpans() {
			made[span.Name] = span
		}
		require.Len(t, made, 3)
		batch := made["group commit"]
		require.Equal(t, int64(3), batch.Attributes[0].Value.AsInt64())
		require.Equal(t, callers["a"].SpanContext().SpanID(), batch.Parent.SpanID())
		require.Len(t, batch.Links, 1)
		require.Equal(t, callers["c"].SpanContext().SpanID(), batch.Links[0].SpanContext.SpanID())
		require.Equal(t, batch.SpanContext.SpanID(), made["c"].Links[0].SpanContext.SpanID())
	})
}
