package otlp

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector is a server that takes spans, after the answers that it gives first.
type collector struct {
	mu       sync.Mutex
	answers  []int
	headers  http.Header
	requests int
	spans    []*tracepb.ResourceSpans
}

// ServeHTTP implements http.Handler.
func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	if len(c.answers) > 0 {
		status := c.answers[0]
		c.answers = c.answers[1:]
		w.Header().Set("Location", "http://127.0.0.1:1/")
		w.WriteHeader(status)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var data tracepb.TracesData
	if err := proto.Unmarshal(body, &data); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.headers, c.spans = r.Header, append(c.spans, data.GetResourceSpans()...)
}

// exporter returns an exporter that sends to a collector.
func exporter(t *testing.T, c *collector, log io.Writer) *Exporter {
	t.Helper()
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	e := New(ExporterConfig{URL: server.URL + "/v1/traces", Headers: map[string]string{"X-Api-Key": "k"}, Log: slog.New(slog.NewTextHandler(log, nil))})
	e.pause = time.Millisecond
	t.Cleanup(func() { _ = e.Shutdown(context.Background()) })
	return e
}

// TestExport: a collector gets the spans as they are.
func TestExport(t *testing.T) {
	t.Parallel()
	c := &collector{answers: []int{http.StatusServiceUnavailable}}
	e := exporter(t, c, io.Discard)
	provider := sdk.NewTracerProvider(sdk.WithSyncer(e), sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", "onhand"))))
	ctx, parent := provider.Tracer("onhand").Start(t.Context(), "parent")
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{7}, SpanID: trace.SpanID{8}, TraceFlags: trace.FlagsSampled, Remote: true})
	_, span := provider.Tracer("onhand").Start(ctx, "work", trace.WithSpanKind(trace.SpanKindServer), trace.WithLinks(trace.Link{SpanContext: remote}))
	span.SetAttributes(attribute.Int("n", 5), attribute.String("s", "x"), attribute.Bool("b", true), attribute.Float64("f", 0.5))
	span.AddEvent("happened")
	span.SetStatus(codes.Error, "UNAVAILABLE")
	span.End()

	c.mu.Lock()
	defer c.mu.Unlock()
	require.Len(t, c.spans, 1)
	assert.Equal(t, 2, c.requests, "again after 503")
	assert.Equal(t, "k", c.headers.Get("X-Api-Key"))
	assert.Equal(t, "application/x-protobuf", c.headers.Get("Content-Type"))
	assert.Equal(t, "onhand", c.spans[0].GetResource().GetAttributes()[0].GetValue().GetStringValue())
	assert.Equal(t, "onhand", c.spans[0].GetScopeSpans()[0].GetScope().GetName())
	got := c.spans[0].GetScopeSpans()[0].GetSpans()[0]
	traceID, parentID, spanID := span.SpanContext().TraceID(), parent.SpanContext().SpanID(), span.SpanContext().SpanID()
	assert.Equal(t, "work", got.GetName())
	assert.Equal(t, traceID[:], got.GetTraceId())
	assert.Equal(t, spanID[:], got.GetSpanId())
	assert.Equal(t, parentID[:], got.GetParentSpanId())
	assert.Equal(t, tracepb.Span_SPAN_KIND_SERVER, got.GetKind())
	assert.Equal(t, tracepb.Status_STATUS_CODE_ERROR, got.GetStatus().GetCode())
	assert.Equal(t, "UNAVAILABLE", got.GetStatus().GetMessage())
	assert.Equal(t, uint32(0x101), got.GetFlags())
	assert.Equal(t, uint32(0x301), got.GetLinks()[0].GetFlags())
	assert.Equal(t, byte(7), got.GetLinks()[0].GetTraceId()[0])
	assert.Equal(t, "happened", got.GetEvents()[0].GetName())
	assert.Greater(t, got.GetEndTimeUnixNano(), got.GetStartTimeUnixNano()-1)
	values := map[string]any{}
	for _, a := range got.GetAttributes() {
		values[a.GetKey()] = a.GetValue().String()
	}
	assert.Equal(t, map[string]any{"n": "int_value:5", "s": `string_value:"x"`, "b": "bool_value:true", "f": "double_value:0.5"}, values)
	sent, lost := e.Spans()
	assert.Equal(t, []int64{1, 0}, []int64{sent, lost})
}

// TestCollectorAway: spans that the collector does not take are lost, after a bounded number
// of attempts. That is logged once, and so is that the collector is back. A redirect is not
// followed.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	c := &collector{answers: []int{
		http.StatusServiceUnavailable, http.StatusTooManyRequests, http.StatusBadGateway,
		http.StatusBadRequest, http.StatusTemporaryRedirect,
	}}
	e := exporter(t, c, &log)
	provider := sdk.NewTracerProvider(sdk.WithSyncer(e))
	for range 4 {
		_, span := provider.Tracer("onhand").Start(t.Context(), "work")
		span.End()
	}
	sent, lost := e.Spans()
	assert.Equal(t, []int64{1, 3}, []int64{sent, lost})
	assert.Equal(t, 6, c.requests)
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("a server cannot be reached")))
	assert.Equal(t, 1, bytes.Count(log.Bytes(), []byte("a server can be reached again")))
	assert.NoError(t, e.ExportSpans(t.Context(), nil))
}

// TestLogHasNoURL: the line about an outage says why, and has no part of a URL with a secret.
func TestLogHasNoURL(t *testing.T) {
	t.Parallel()
	for target, why := range map[string]string{
		"http://hunter1:hunter2@127.0.0.1:1/hunter3?key=hunter4": "connect",
		"http://hunter1:hunter2@127.0.0.1:port/?key=hunter4":     "invalid port",
		"hunter5://hunter1:hunter2@127.0.0.1:1/?key=hunter4":     "unsupported protocol scheme",
	} {
		var log bytes.Buffer
		e := New(ExporterConfig{URL: target, Log: slog.New(slog.NewTextHandler(&log, nil))})
		e.pause = time.Millisecond
		provider := sdk.NewTracerProvider(sdk.WithSyncer(e))
		_, span := provider.Tracer("onhand").Start(t.Context(), "work")
		span.End()
		assert.NoError(t, e.Shutdown(t.Context()))
		assert.Contains(t, log.String(), why)
		assert.NotRegexp(t, "hunter[1-4]", log.String())
	}
}
