package serving

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	tracepb "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"onhand/cli/serving/admin"
	"onhand/cli/serving/telemetry"
	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/store"
)

// TestMetricNames: every metric follows the conventions of Prometheus, and has the prefix of
// its program.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	registry := wholeRegistry(t)
	problems, err := testutil.GatherAndLint(registry)
	require.NoError(t, err)
	for _, problem := range problems {
		assert.Fail(t, problem.Metric+": "+problem.Text)
	}
	families, err := registry.Gather()
	require.NoError(t, err)
	assert.Greater(t, len(families), 60)
	for _, family := range families {
		assert.Regexp(t, "^(onhand|go|process)_[a-z_]+$", family.GetName())
	}
}

// spanCollector is a collector of traces.
type spanCollector struct {
	mu    sync.Mutex
	spans []*tracepb.Span
}

// ServeHTTP implements http.Handler.
func (c *spanCollector) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var data tracepb.TracesData
	_ = proto.Unmarshal(body, &data)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, resource := range data.GetResourceSpans() {
		for _, scope := range resource.GetScopeSpans() {
			c.spans = append(c.spans, scope.GetSpans()...)
		}
	}
}

// tree writes each span of a trace as the names of it and of the spans above it.
func (c *spanCollector) tree(traceID string) (paths []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	byID := map[string]*tracepb.Span{}
	for _, span := range c.spans {
		byID[string(span.GetSpanId())] = span
	}
	for _, span := range c.spans {
		if hex.EncodeToString(span.GetTraceId()) != traceID {
			continue
		}
		path := span.GetName()
		for above := byID[string(span.GetParentSpanId())]; above != nil; above = byID[string(above.GetParentSpanId())] {
			path = above.GetName() + " > " + path
		}
		paths = append(paths, path)
	}
	return paths
}

// TestTraces: a collector gets the spans of a read from the request to Redis, and those of a
// write from the request to its transaction and to Redis, under the trace of the caller. The
// time of an operation names it as an exemplar. No span has the id of a reservation or a key.
func TestTraces(t *testing.T) {
	t.Parallel()
	collector := &spanCollector{}
	server := httptest.NewServer(collector)
	defer server.Close()
	settings := telemetry.TraceSettings{Endpoint: server.URL, SampleRatio: 0, ServiceName: "onhand"}
	require.NoError(t, settings.Check())
	log := slog.New(slog.DiscardHandler)
	traces := settings.Open(log)
	st := demoStore(t, store.Config{}) // without a near cache
	require.NoError(t, st.Start())
	h := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(t), registry: newRegistry(st), open: newConnections(0), traces: traces})
	const read, written = "4bf92f3577b34da6a3ce929d0e0e4736", "4bf92f3577b34da6a3ce929d0e0e4737"
	query := local(t, http.MethodGet, "/graphql?query="+url.QueryEscape(`query Page { stocks(productIds: ["22423", "no-such-product"]) { quantityAvailable } }`))
	query.Header.Set("Traceparent", "00-"+read+"-00f067aa0ba902b7-01")
	require.Equal(t, http.StatusOK, served(t, h, query).Code)
	id := reserveTraced(t, h, written)
	require.Equal(t, http.StatusOK, served(t, h, local(t, http.MethodGet, "/graphql?query={__typename}")).Code, "not traced")

	scrape := local(t, http.MethodGet, "/metrics")
	scrape.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	exposed := served(t, h, scrape).Body.String()
	assert.Contains(t, exposed, `trace_id="`+read+`"`)
	assert.Contains(t, exposed, `trace_id="`+written+`"`)

	// A batch ends after its callers were answered, so that Close alone might come before its span.
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		reading := strings.Join(collector.tree(read), "\n")
		assert.Contains(t, reading, "GET > query Page > read stocks > read Redis > ")
		assert.Regexp(t, "GET > query Page > read stocks > read (database|unknown ids) > SQL read", reading)
	}, 20*time.Second, 100*time.Millisecond)
	traces.Close()
	writing := strings.Join(collector.tree(written), "\n")
	assert.Contains(t, writing, "POST > mutation > write > group commit > transaction under lock")
	assert.Regexp(t, "POST > mutation > write > group commit > .*apply", writing)
	for _, span := range collector.spans {
		text := span.String()
		assert.NotContains(t, text, id)
		assert.NotContains(t, text, "secret-key-of-a-shopper-1")
		assert.Contains(t, []string{read, written}, hex.EncodeToString(span.GetTraceId()))
	}
}

// reserveTraced reserves a product under a trace, and returns the id of the reservation.
func reserveTraced(t *testing.T, h http.Handler, traceID string) (id string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(
		`{"query": "mutation { reserveStock(input: {idempotencyKey: \"secret-key-of-a-shopper-1\", lines: [{productId: \"22423\", quantity: 1}]}) { reservation { id } errors { code message } } }"}`))
	r.Host = "127.0.0.1:8080"
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Traceparent", "00-"+traceID+"-00f067aa0ba902b7-01")
	w := served(t, h, r)
	var answer struct {
		Data struct {
			ReserveStock struct{ Reservation struct{ ID string } }
		}
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer), w.Body.String())
	require.NotEmpty(t, answer.Data.ReserveStock.Reservation.ID, w.Body.String())
	return answer.Data.ReserveStock.Reservation.ID
}

// lockedLog is a log that several goroutines write.
type lockedLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

// lines returns what was written.
func (l *lockedLog) lines() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestLogHasNoSecrets: at the level debug, with a database and a collector that are away and
// callers that are refused, no line has the id of a reservation, a key, a token, or more of the
// collector's URL than its scheme and host. The lines of a request have its id.
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	text := &lockedLog{}
	log := slog.New(telemetry.LogHandler(slog.NewJSONHandler(text, &slog.HandlerOptions{Level: slog.LevelDebug})))
	st := demoStore(t, store.Config{Logger: log})
	require.NoError(t, st.Start())
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, log)
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "erp", Scopes: guard.Scopes, Lifetime: time.Hour}, time.Now())
	require.NoError(t, err)
	traces := (&telemetry.TraceSettings{Endpoint: "http://hunter1:hunter2@127.0.0.1:1/hunter3?key=hunter4", Headers: "x-key=hunter5", SampleRatio: 1}).Open(log)
	h := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(t), bearer: bearer, registry: newRegistry(st), open: newConnections(0), traces: traces})
	id := reserveTraced(t, h, "4bf92f3577b34da6a3ce929d0e0e4736")
	ask := func(authorization, format string, values ...any) *httptest.ResponseRecorder {
		body, err := json.Marshal(map[string]any{"query": fmt.Sprintf(format, values...)})
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Host = "127.0.0.1:8080"
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("X-Request-Id", "made-by-a-stranger")
		if authorization != "" {
			r.Header.Set("Authorization", "Bearer "+authorization)
		}
		return served(t, h, r)
	}
	ask(token, `mutation { commitReservation(input: {idempotencyKey: "secret-key-of-a-shopper-1", id: %q}) { errors { code } } }`, id)
	refused := ask("", `mutation { cancelReservation(input: {idempotencyKey: "secret-key-of-a-shopper-1", id: %q}) { errors { code } } }`, id)
	ask(token+"x", `{ __typename }`)
	ask(token, `{ reservation(id: %q) { nonsense } }`, id)
	st.Close()
	for range 20 {
		ask(token, `{ reservation(id: %q) { state } }`, id)
		ask(token, `mutation { releaseReservation(input: {id: %q}) { errors { code } } }`, id)
	}
	traces.Close()
	require.Eventually(t, func() bool { return strings.Contains(text.lines(), `"server":"trace collector"`) }, time.Minute, 10*time.Millisecond)
	lines := text.lines()
	assert.Contains(t, lines, `"endpoint":"http://127.0.0.1:1"`)
	assert.NotContains(t, lines, "hunter")
	for what, secret := range map[string]string{"id": id, "token": token, "signature": token[strings.LastIndex(token, ".")+1:], "key": "secret-key-of-a-shopper-1", "stranger": "made-by-a-stranger"} {
		assert.NotContains(t, lines, secret, what)
	}
	assert.Contains(t, lines, `"request_id":"`+refused.Header().Get("X-Request-Id")+`"`)
	assert.Contains(t, lines, "privileged operation")
	assert.Contains(t, lines, `"level":"WARN"`)
}

// TestShoppersNameNoMetrics: where tokens are configured, names that callers without a token
// make up have no metrics of their own, and callers with one still get theirs. Where none are
// configured, every caller is of this machine.
func TestShoppersNameNoMetrics(t *testing.T) {
	t.Parallel()
	st := demoStore(t, store.Config{})
	require.NoError(t, st.Start())
	log := slog.New(slog.DiscardHandler)
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(t.Context(), nil, log)
	require.NoError(t, err)
	t.Cleanup(closeBearer)
	mint := func(scopes ...guard.Scope) string {
		token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "one", Scopes: scopes, Lifetime: time.Hour}, time.Now())
		require.NoError(t, err)
		return token
	}
	token, shopper := mint(guard.ReadOrders), mint()
	registry := newRegistry(st)
	h := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(t), bearer: bearer, registry: registry, open: newConnections(0)})
	ask := func(h http.Handler, name, token string) {
		r := local(t, http.MethodGet, "/graphql?query="+url.QueryEscape("query "+name+" { __typename }"))
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		require.Equal(t, http.StatusOK, served(t, h, r).Code)
	}
	for i := range 110 {
		ask(h, fmt.Sprint("Made", i), "")
		ask(h, fmt.Sprint("Invented", i), shopper)
	}
	ask(h, "Page", token)
	ask(h, "Page", "")
	ask(h, "Page", shopper)
	exposed := httptest.NewRecorder()
	admin.Metrics(registry, log).ServeHTTP(exposed, local(t, http.MethodGet, "/metrics"))
	const count = "onhand_graphql_operation_duration_seconds_count"
	assert.Contains(t, exposed.Body.String(), count+`{operation="Page",type="query"} 3`)
	assert.NotRegexp(t, `operation="(Made|Invented)`, exposed.Body.String())
	shared := 0
	for _, found := range regexp.MustCompile(count+`\{operation="other-[0-9a-f]",type="query"\} (\d+)`).FindAllStringSubmatch(exposed.Body.String(), -1) {
		one, err := strconv.Atoi(found[1])
		require.NoError(t, err)
		shared += one
	}
	assert.Equal(t, 220, shared)

	open := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(t), open: newConnections(0)})
	ask(open, "Page", "")
	assert.Contains(t, served(t, open, local(t, http.MethodGet, "/metrics")).Body.String(), count+`{operation="Page",type="query"} 1`)
}

// BenchmarkTracedRequest is the page of BenchmarkRequest with traces. Run it apart from other
// benchmarks: once tracing is on, it stays on in the process.
func BenchmarkTracedRequest(b *testing.B) {
	server := httptest.NewServer(&spanCollector{})
	b.Cleanup(server.Close)
	log := slog.New(slog.DiscardHandler)
	for _, ratio := range []float64{0, 0.01, 1} {
		b.Run(fmt.Sprint(ratio), func(b *testing.B) {
			traces := (&telemetry.TraceSettings{Endpoint: server.URL, SampleRatio: ratio}).Open(log)
			b.Cleanup(traces.Close)
			st := demoStore(b, store.Config{NearCacheBytes: 1 << 20})
			require.NoError(b, st.Start())
			h := routes(st, transport.NewClosing(), log, routeConfig{sites: localSites(b), registry: newRegistry(st), open: newConnections(0), traces: traces})
			body, err := json.Marshal(map[string]any{
				"query":     `query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }`,
				"variables": map[string]any{"ids": demoIDs(b, h)},
			})
			require.NoError(b, err)
			serveRepeatedly(b, h, body, "")
		})
	}
}
