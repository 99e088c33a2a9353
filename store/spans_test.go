package store

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/storetest"
	"onhand/tracing"
)

// On Postgres the statements of a traced read, and the pipeline of a traced write, have spans
// below their batch. A statement has its text, and none of its values.
func TestSpansOfStatements(t *testing.T) {
	t.Parallel()
	tracing.Enable()
	spans := tracetest.NewInMemoryExporter()
	tracer := sdk.NewTracerProvider(sdk.WithSyncer(spans)).Tracer("test")
	s := open(t, Config{DatabaseURL: storetest.Postgres(t)})
	stockUp(t, s, 5, "secret-product")

	ctx, request := tracer.Start(t.Context(), "request")
	_, err := s.Write(ctx, models.Reserve{IdempotencyKey: "secret-key", Lines: []models.RequestedLine{{ProductID: "secret-product", Quantity: 1}}, TTL: time.Hour})
	require.NoError(t, err)
	_, err = s.FreshStock(ctx, "secret-product")
	require.NoError(t, err)
	_, err = s.Movements(ctx, paging.MovementRequest{First: 5}, models.MovementFilter{})
	require.NoError(t, err)
	request.End()

	eventually(t, func() bool { // the span of a batch ends after its callers are answered
		made := map[string]tracetest.SpanStub{}
		for _, span := range spans.GetSpans() {
			made[span.Name] = span
		}
		_, committed := made["group commit"]
		return committed && made["pipeline"].Name != "" && made["statement"].Name != ""
	})
	for _, span := range spans.GetSpans() {
		require.Equal(t, request.SpanContext().TraceID(), span.SpanContext.TraceID(), span.Name)
		for _, attribute := range span.Attributes {
			require.NotContains(t, attribute.Value.String(), "secret", span.Name)
			if attribute.Key == "db.query.text" {
				require.LessOrEqual(t, len(attribute.Value.AsString()), 500)
				require.NotEmpty(t, strings.TrimSpace(attribute.Value.AsString()))
			}
		}
	}
	before := len(spans.GetSpans())
	_, err = s.FreshStock(context.Background(), "secret-product")
	require.NoError(t, err)
	require.Len(t, spans.GetSpans(), before, "what is not traced has no span")
}
