package telemetry

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"onhand/graph/guard"
)

// asked sends one request with headers, in pairs, and returns the answer and the id that the
// handler has seen.
func asked(t *testing.T, config RequestConfig, trusted bool, headers ...string) (answer http.Header, id string) {
	t.Helper()
	config.Trusts = func(*http.Request) bool { return trusted }
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", http.NoBody)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	WithIDs(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { id = guard.RequestID(r.Context()) }), config).ServeHTTP(w, r)
	return w.Header(), id
}

// TestRequestID: a trusted caller names its request, in plain characters. Every other request
// gets an id of its own.
func TestRequestID(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trusted bool
		headers []string
		kept    bool
	}{
		"trusted":     {true, []string{"X-Request-Id", "Req-1.a_B"}, true},
		"a stranger":  {false, []string{"X-Request-Id", "Req-1"}, false},
		"none":        {true, nil, false},
		"empty":       {true, []string{"X-Request-Id", ""}, false},
		"two":         {true, []string{"X-Request-Id", "a", "X-Request-Id", "b"}, false},
		"a line":      {true, []string{"X-Request-Id", "a\nb"}, false},
		"quotes":      {true, []string{"X-Request-Id", `a"b`}, false},
		"the longest": {true, []string{"X-Request-Id", strings.Repeat("a", 64)}, true},
		"longer":      {true, []string{"X-Request-Id", strings.Repeat("a", 65)}, false},
	} {
		answer, id := asked(t, RequestConfig{}, test.trusted, test.headers...)
		assert.Equal(t, id, answer.Get("X-Request-Id"), name)
		if test.kept {
			assert.Equal(t, test.headers[1], id, name)
		} else {
			assert.Regexp(t, "^[0-9a-f]{16}$", id, name)
		}
	}
	_, first := asked(t, RequestConfig{}, true)
	_, second := asked(t, RequestConfig{}, true)
	assert.NotEqual(t, first, second)
}

const parentTrace = "4bf92f3577b34da6a3ce929d0e0e4736"

// TestTraceparent: a trusted caller decides whether its request is traced, and under which
// trace. A stranger's traceparent does not count. Streams have no span of their own.
func TestTraceparent(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		trusted bool
		flags   string
		ratio   float64
		headers []string
		spans   int
		below   bool
	}{
		"trusted":             {trusted: true, flags: "01", spans: 1, below: true},
		"trusted, not traced": {trusted: true, flags: "00", ratio: 1},
		"a stranger":          {flags: "01"},
		"a stranger, by luck": {flags: "01", ratio: 1, spans: 1},
		"a websocket":         {trusted: true, flags: "01", ratio: 1, headers: []string{"Upgrade", "websocket"}},
		"an event stream":     {trusted: true, flags: "01", ratio: 1, headers: []string{"Accept", "text/event-stream"}},
	} {
		spans := tracetest.NewInMemoryExporter()
		traces := (&TraceSettings{SampleRatio: test.ratio}).traces(sdk.WithSyncer(spans))
		asked(t, RequestConfig{Tracer: traces.Tracer()}, test.trusted, append(test.headers, "Traceparent", "00-"+parentTrace+"-00f067aa0ba902b7-"+test.flags)...)
		made := spans.GetSpans()
		require.Len(t, made, test.spans, name)
		for _, span := range made {
			assert.Equal(t, test.below, span.SpanContext.TraceID().String() == parentTrace, name)
		}
		traces.Close()
	}
}

// TestMethods: a span has the name of a method that HTTP has. Any other text of a client is
// in neither name nor attributes.
func TestMethods(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string][2]string{
		http.MethodGet: {"GET", "GET"}, http.MethodPost: {"POST", "POST"}, http.MethodOptions: {"OPTIONS", "OPTIONS"},
		"MADE-UP": {"HTTP", "_OTHER"}, "get": {"HTTP", "_OTHER"},
	} {
		spans := tracetest.NewInMemoryExporter()
		traces := (&TraceSettings{SampleRatio: 1}).traces(sdk.WithSyncer(spans))
		config := RequestConfig{Tracer: traces.Tracer(), Trusts: func(*http.Request) bool { return false }}
		r := httptest.NewRequestWithContext(t.Context(), sent, "/graphql", http.NoBody)
		WithIDs(http.NotFoundHandler(), config).ServeHTTP(httptest.NewRecorder(), r)
		made := spans.GetSpans()
		require.Len(t, made, 1, sent)
		assert.Equal(t, want[0], made[0].Name)
		assert.Contains(t, made[0].Attributes, attribute.String("http.request.method", want[1]))
		traces.Close()
	}
}

// TestForcedTracesAreBounded: callers cannot have every request traced.
func TestForcedTracesAreBounded(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	traces := (&TraceSettings{}).traces(sdk.WithSyncer(spans))
	for range 10 * forcedPerSecond {
		asked(t, RequestConfig{Tracer: traces.Tracer()}, true, "Traceparent", "00-"+parentTrace+"-00f067aa0ba902b7-01")
	}
	made := len(spans.GetSpans())
	assert.GreaterOrEqual(t, made, forcedPerSecond)
	assert.Less(t, made, 5*forcedPerSecond)
	traces.Close()
}

// TestLogHandler: a line of a request has its ids; any other line has none.
func TestLogHandler(t *testing.T) {
	t.Parallel()
	var text bytes.Buffer
	log := slog.New(LogHandler(slog.NewJSONHandler(&text, nil))).With("component", "test")
	traces := (&TraceSettings{SampleRatio: 1}).traces(sdk.WithSyncer(tracetest.NewInMemoryExporter()))
	defer traces.Close()
	handler := WithIDs(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		log.WarnContext(r.Context(), "inside")
	}), RequestConfig{Tracer: traces.Tracer(), Trusts: func(*http.Request) bool { return true }})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.Header.Set("X-Request-Id", "one")
	handler.ServeHTTP(httptest.NewRecorder(), r)
	log.WithGroup("outside").Warn("outside")
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	require.Len(t, lines, 2)
	var inside map[string]any
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &inside))
	assert.Equal(t, "one", inside["request_id"])
	assert.Regexp(t, "^[0-9a-f]{32}$", inside["trace_id"])
	assert.Equal(t, "test", inside["component"])
	assert.NotContains(t, lines[1], "_id")
}

// TestTraceSettings: settings that can never work are refused, without what they say.
func TestTraceSettings(t *testing.T) {
	t.Parallel()
	noCertificate := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(noCertificate, []byte("hunter2"), 0o600))
	for name, test := range map[string]struct {
		settings TraceSettings
		message  string
	}{
		"nothing":       {TraceSettings{}, ""},
		"all":           {TraceSettings{Endpoint: "https://collector:4318/", Headers: "x-key=hunter2,other=a%20b", ResourceAttributes: "deployment.environment.name=prod", SampleRatio: 1}, ""},
		"ratio":         {TraceSettings{SampleRatio: 1.5}, "traces-sample-ratio"},
		"negative":      {TraceSettings{SampleRatio: -1}, "traces-sample-ratio"},
		"no URL":        {TraceSettings{Endpoint: "collector:4318"}, "otel-exporter-otlp-endpoint"},
		"gRPC":          {TraceSettings{Endpoint: "grpc://collector:4317"}, "otel-exporter-otlp-endpoint"},
		"headers":       {TraceSettings{Headers: "hunter2"}, "otel-exporter-otlp-headers"},
		"header name":   {TraceSettings{Headers: "ok=1,x hunter2=a"}, "otel-exporter-otlp-headers has a name"},
		"a letter":      {TraceSettings{Headers: "clé=hunter2"}, "otel-exporter-otlp-headers has a name"},
		"a line":        {TraceSettings{Headers: "x-key=hunter2%0D%0Ax-other: a"}, "otel-exporter-otlp-headers has a value"},
		"a zero":        {TraceSettings{Headers: "x-key=hunter2%00"}, "otel-exporter-otlp-headers has a value"},
		"delete":        {TraceSettings{Headers: "x-key=hunter2%7F"}, "otel-exporter-otlp-headers has a value"},
		"all of HTTP":   {TraceSettings{Headers: "X-1!#$%&'*+.^_`|~=caf%C3%A9%09%20 a=b"}, ""},
		"attributes":    {TraceSettings{ResourceAttributes: "a=%zz"}, "otel-resource-attributes"},
		"many":          {TraceSettings{ResourceAttributes: strings.Repeat("a=b,", 10) + manyPairs()}, "otel-resource-attributes"},
		"no file":       {TraceSettings{Certificate: "none"}, "otel-exporter-otlp-certificate"},
		"no PEM":        {TraceSettings{Certificate: noCertificate}, "otel-exporter-otlp-certificate"},
		"empty headers": {TraceSettings{Headers: " , "}, ""},
	} {
		err := test.settings.Check()
		if test.message == "" {
			assert.NoError(t, err, name)
		} else if assert.ErrorContains(t, err, test.message, name) {
			assert.NotContains(t, err.Error(), "hunter2", name)
		}
	}
	url, err := (&TraceSettings{Endpoint: "http://collector:4318"}).url()
	require.NoError(t, err)
	assert.Equal(t, "http://collector:4318/v1/traces", url)
	assert.Nil(t, (&TraceSettings{}).Open(slog.New(slog.DiscardHandler)))
	var none *Traces
	assert.Nil(t, none.Tracer())
	assert.Empty(t, none.Collectors())
	none.Close()
}

func manyPairs() string {
	var text strings.Builder
	for i := range attributesMax + 1 {
		text.WriteString(strings.Repeat("n", i+1) + "=v,")
	}
	return text.String()
}
