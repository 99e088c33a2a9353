package graph_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/quota"
)

// limitedAPI answers anonymous callers, each within these quotas.
func limitedAPI(quotas map[ratelimit.Class]quota.Quota) (http.Handler, *ratelimit.Limiter) {
	limiter := ratelimit.New(ratelimit.LimiterConfig{Quotas: quotas, ExemptScopes: []guard.Scope{guard.WriteOrders}})
	st := &fakeStore{
		write: func(models.Write) (models.WriteResult, error) { return models.WriteResult{}, models.BadInput("no") },
		watch: func(context.Context) (models.Watch[*models.Stock], error) {
			ended := newFakeWatch[*models.Stock]()
			close(ended.states)
			return ended, nil
		},
	}
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: slog.New(slog.DiscardHandler)},
		Closing:  transport.NewClosing(), Interpreted: interpreted, Limiter: limiter,
	}), limiter
}

// question reads twenty products.
var question = func() string {
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	raw, _ := json.Marshal(ids) // texts; cannot fail
	return `{ stocks(productIds: ` + string(raw) + `) { productId } }`
}()

// askFrom sends a document from an address.
func askFrom(t *testing.T, api http.Handler, address, query string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, api, address, string(encodedRequest(t, query)), header)
}

func encodedRequest(t *testing.T, query string) []byte {
	t.Helper()
	raw, err := json.Marshal(request{Query: query})
	require.NoError(t, err)
	return raw
}

// TestRateLimits: who has used up a quota gets 429, a code, the time to wait, and the
// headers that say so to programs. Others, exempt callers, and other classes go on.
func TestRateLimits(t *testing.T) {
	t.Parallel()
	api, limiter := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 100, Window: time.Hour}, ratelimit.Writes: {Cost: 600, Window: time.Hour}})
	newer := http.Header{"Accept": {"application/graphql-response+json"}}
	const home, other = "192.0.2.1:1", "192.0.2.2:1"
	for range 2 { // 10 a request, 10 a read and 20 products
		assert.Equal(t, http.StatusOK, askFrom(t, api, home, question, newer).Code)
	}
	for _, header := range []http.Header{newer, {"Accept": {"application/json"}}} {
		w := askFrom(t, api, home, question, header)
		assert.Equal(t, http.StatusTooManyRequests, w.Code)
		var answer struct {
			Data   *struct{}
			Errors []struct {
				Message    string
				Extensions map[string]any
			}
		}
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
		require.Len(t, answer.Errors, 1)
		assert.Nil(t, answer.Data)
		assert.Equal(t, "RATE_LIMITED", answer.Errors[0].Extensions["code"])
		assert.InDelta(t, 720_000, answer.Errors[0].Extensions["retryAfterMs"], 5000) // 20 units
		assert.Contains(t, answer.Errors[0].Message, "too many reads")
		assert.InDelta(t, 720, number(t, w.Header().Get("Retry-After")), 5)
		assert.Equal(t, `"reads";q=100;qu="complexity";w=3600`, w.Header().Get("RateLimit-Policy"))
		assert.True(t, strings.HasPrefix(w.Header().Get("RateLimit"), `"reads";r=20;t=`), w.Header().Get("RateLimit"))
	}
	assert.Equal(t, http.StatusOK, askFrom(t, api, other, question, newer).Code)
	assert.Equal(t, http.StatusOK, askFrom(t, identities["orders"](api), home, question, newer).Code, "exempt")
	assert.Equal(t, http.StatusOK, askFrom(t, identities["reader"](api), home, question, newer).Code, "a subject has a bucket of its own")
	assert.EqualValues(t, 2, limiter.Limited(ratelimit.Reads))

	const write = `mutation { releaseReservation(input: {id: "res_1"}) { replayed } }`
	assert.NotEqual(t, http.StatusTooManyRequests, askFrom(t, api, home, write, newer).Code)
	assert.Equal(t, http.StatusTooManyRequests, askFrom(t, api, home, write, newer).Code)
	assert.EqualValues(t, 1, limiter.Limited(ratelimit.Writes))

	array := send(t, api, home, `[`+string(encodedRequest(t, question))+`,`+string(encodedRequest(t, "{ __typename }"))+`]`, nil)
	assert.Equal(t, http.StatusOK, array.Code)
	assert.Contains(t, array.Body.String(), "RATE_LIMITED")
	assert.Contains(t, array.Body.String(), `{"data":{"__typename":"Query"}}`, "10 units were left")
}

// number reads a whole number.
func number(t *testing.T, text string) (n float64) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(text), &n))
	return n
}

// TestRateLimitsOfStreams: over a stream a refusal is the error of its operation, and the
// stream goes on.
func TestRateLimitsOfStreams(t *testing.T) {
	t.Parallel()
	api, _ := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 50, Window: time.Hour}, ratelimit.Subscriptions: {Cost: 1, Window: time.Hour}})
	server := httptest.NewServer(api)
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	roundTrip := func(text string) string {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
		_, answer, err := conn.Read(t.Context())
		require.NoError(t, err)
		return string(answer)
	}
	require.Contains(t, roundTrip(`{"type":"connection_init"}`), "connection_ack")
	subscribe := func(id string) string {
		payload := string(encodedRequest(t, question))
		return roundTrip(`{"id":"` + id + `","type":"subscribe","payload":` + payload + `}`)
	}
	assert.Contains(t, subscribe("1"), `"next"`)
	_, _, err = conn.Read(t.Context()) // complete
	require.NoError(t, err)
	for _, id := range []string{"2", "3"} {
		answer := subscribe(id)
		assert.Contains(t, answer, `"type":"error"`)
		assert.Contains(t, answer, "RATE_LIMITED")
		assert.Contains(t, answer, "retryAfterMs")
	}

	stream := func() string {
		const watched = `subscription { stockChanged(productIds: ["none"]) { productId } }`
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"?query="+url.QueryEscape(watched), http.NoBody)
		require.NoError(t, err)
		r.Header.Set("Accept", "text/event-stream")
		response, err := server.Client().Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		var text strings.Builder
		buffer := make([]byte, 1024)
		for !strings.Contains(text.String(), "event: complete") {
			n, err := response.Body.Read(buffer)
			text.Write(buffer[:n])
			if err != nil {
				break
			}
		}
		return text.String()
	}
	assert.NotContains(t, stream(), "RATE_LIMITED")
	assert.Contains(t, stream(), "RATE_LIMITED")
}

// TestUnknownDocumentsAreLimited: documents that the server has not validated before cost
// their bytes, valid or not; known ones do not.
func TestUnknownDocumentsAreLimited(t *testing.T) {
	t.Parallel()
	api, limiter := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Documents: {Cost: 1000, Window: time.Hour}})
	const home = "192.0.2.1:1"
	for range 100 {
		assert.Equal(t, http.StatusOK, askFrom(t, api, home, "{ locations { id } }", nil).Code)
	}
	for n := range 9 {
		assert.NotEqual(t, http.StatusTooManyRequests, askFrom(t, api, home, fmt.Sprintf("{ wrong%d }", n), nil).Code)
	}
	assert.Equal(t, http.StatusTooManyRequests, askFrom(t, api, home, "{", nil).Code)
	assert.Equal(t, http.StatusOK, askFrom(t, api, home, "{ locations { id } }", nil).Code)
	assert.EqualValues(t, 1, limiter.Limited(ratelimit.Documents))
	assert.NotEqual(t, http.StatusTooManyRequests, askFrom(t, api, "192.0.2.2:1", "{"+strings.Repeat("x ", 1000), nil).Code, "one larger than the quota")
	assert.Equal(t, http.StatusTooManyRequests, askFrom(t, api, "192.0.2.2:1", "{ other }", nil).Code)
}

// TestFailedRequestsAreLimited: a request that is not executed, for whatever reason, costs
// its caller as much as a small one that is. Once the quota is used up it gets 429.
func TestFailedRequestsAreLimited(t *testing.T) {
	t.Parallel()
	const home, other = "192.0.2.1:1", "192.0.2.2:1"
	for name, body := range map[string]string{
		"parsing":      `{"query":"{"}`,
		"validation":   `{"query":"{ nothing }"}`,
		"coercion":     `{"query":"query($id: ID!) { product(id: $id) { id } }","variables":{"id":[]}}`,
		"no operation": `{"query":"{ serverTime }","operationName":"Other"}`,
		"unknown hash": `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + strings.Repeat("0", 64) + `"}}}`,
		"too complex":  `{"query":"{` + aliased(30, "products(first: 250) { nodes { id title stock { status version } } }") + `}"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api, limiter := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 10 * ratelimit.RequestCost, Window: time.Hour}})
			for range 10 {
				w := send(t, api, home, body, nil)
				require.NotEqual(t, http.StatusTooManyRequests, w.Code)
				require.Contains(t, w.Body.String(), `"errors"`)
				require.NotContains(t, w.Body.String(), `"data"`)
			}
			w := send(t, api, home, body, nil)
			assert.Equal(t, http.StatusTooManyRequests, w.Code)
			assert.NotEmpty(t, w.Header().Get("Retry-After"))
			assert.Equal(t, 1, strings.Count(w.Body.String(), `"message"`), w.Body.String())
			assert.NotEqual(t, http.StatusTooManyRequests, send(t, api, other, body, nil).Code)
			assert.EqualValues(t, 1, limiter.Limited(ratelimit.Reads))
		})
	}
}

// TestLongBodiesAreLimited: the bytes of a body cost, before they are decoded, whatever
// they are: compressed ones too, and those of a message of a WebSocket.
func TestLongBodiesAreLimited(t *testing.T) {
	t.Parallel()
	junk := strings.Repeat("[", 100_000)
	var bomb bytes.Buffer
	packed := gzip.NewWriter(&bomb)
	_, _ = packed.Write(make([]byte, 2*guard.BodyBytesMax)) // into memory; cannot fail
	_ = packed.Close()
	for name, test := range map[string]struct {
		body   string
		header http.Header
		first  int
	}{
		"no JSON":      {junk, nil, http.StatusBadRequest},
		"unknown size": {junk, http.Header{"Transfer-Encoding": {"chunked"}}, http.StatusBadRequest},
		"compressed":   {bomb.String(), http.Header{"Content-Encoding": {"gzip"}}, http.StatusRequestEntityTooLarge},
	} {
		api, _ := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 1001, Window: time.Hour}})
		sent := func() *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(test.body))
			r.RemoteAddr = "192.0.2.1:1"
			r.Header = http.Header{"Content-Type": {"application/json"}}
			if test.header.Get("Transfer-Encoding") != "" {
				r.ContentLength = -1
			}
			if coding := test.header.Get("Content-Encoding"); coding != "" {
				r.Header.Set("Content-Encoding", coding)
			}
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			return w
		}
		assert.Equal(t, test.first, sent().Code, name)
		w := sent()
		assert.Equal(t, http.StatusTooManyRequests, w.Code, name)
		assert.Contains(t, w.Body.String(), "retryAfterMs", name)
		assert.NotEmpty(t, w.Header().Get("RateLimit"), name)
		assert.Equal(t, http.StatusOK, askFrom(t, api, "192.0.2.2:1", "{ __typename }", nil).Code, name)
	}

	api, _ := limitedAPI(map[ratelimit.Class]quota.Quota{ratelimit.Reads: {Cost: 1001, Window: time.Hour}})
	server := httptest.NewServer(api)
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)))
	for id := range 4 {
		payload := `{"query":"{ __typename }","variables":{"a":"` + strings.Repeat("x", 40_000) + `"}}`
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, fmt.Appendf(nil, `{"id":"%d","type":"subscribe","payload":%s}`, id, payload)))
	}
	limited := ""
	for limited == "" {
		_, answer, err := conn.Read(t.Context())
		require.NoError(t, err)
		if strings.Contains(string(answer), "RATE_LIMITED") {
			limited = string(answer)
		}
	}
	assert.Contains(t, limited, `{"id":"2","type":"error"`)
}

// aliased is a field n times, under as many aliases.
func aliased(n int, field string) string {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, " a%d: %s", i, field)
	}
	return text.String()
}
