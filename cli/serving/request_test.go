package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/ratelimit"
	"onhand/graph/tokens"
	"onhand/graph/transport"
	"onhand/models/quota"
	"onhand/store"
)

// discarded is an answer that nobody reads.
type discarded struct {
	header http.Header
	status int
	bytes  int
}

// Header implements http.ResponseWriter.
func (d *discarded) Header() http.Header { return d.header }

// WriteHeader implements http.ResponseWriter.
func (d *discarded) WriteHeader(status int) { d.status = status }

// Write implements http.ResponseWriter.
func (d *discarded) Write(p []byte) (int, error) {
	d.bytes += len(p)
	return len(p), nil
}

// BenchmarkRequest measures what a request costs between net/http and the resolvers: routes, guards, decoding,
// variables, complexity, and the answer. A page has the variables of twenty products; the near cache has them.
func BenchmarkRequest(b *testing.B) {
	st := demoStore(b, store.Config{NearCacheBytes: 1 << 20})
	require.NoError(b, st.Start())
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: localSites(b), registry: newRegistry(st), open: newConnections(0)})
	quotas := map[ratelimit.Class]quota.Quota{}
	for _, class := range ratelimit.Classes() {
		quotas[class] = quota.Quota{Cost: quota.CostMax, Window: quota.WindowMin}
	}
	limited := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{
		sites: localSites(b), open: newConnections(0), limiter: ratelimit.New(ratelimit.LimiterConfig{Quotas: quotas, ExemptScopes: []guard.Scope{"none", "of them"}}),
	})
	ids := demoIDs(b, h)
	bearer, closeBearer, err := (&IdentitySettings{AuthSecret: testSecret}).bearer(b.Context(), nil, slog.New(slog.DiscardHandler))
	require.NoError(b, err)
	b.Cleanup(closeBearer)
	checked := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), routeConfig{sites: localSites(b), open: newConnections(0), bearer: bearer})
	token, err := tokens.Mint([]byte(testSecret), tokens.NewToken{Subject: "shopper", Scopes: guard.Scopes, Lifetime: time.Hour}, time.Now())
	require.NoError(b, err)
	page := `query($ids: [ID!]!, $all: Boolean!) { __typename stocks(productIds: $ids) @include(if: $all) { productId quantityAvailable version } }`
	for name, request := range map[string]map[string]any{
		"typename":      {"query": "{ __typename }"},
		"page left out": {"query": page, "variables": map[string]any{"ids": ids, "all": false}},
		"page":          {"query": page, "variables": map[string]any{"ids": ids, "all": true}},
	} {
		body, err := json.Marshal(request)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) { serveRepeatedly(b, h, body, "") })
		b.Run(name+", with a token", func(b *testing.B) { serveRepeatedly(b, checked, body, "Bearer "+token) })
		b.Run(name+", limited", func(b *testing.B) { serveRepeatedly(b, limited, body, "") })
	}
}

// demoIDs are the ids of a page of the demo shop.
func demoIDs(b *testing.B, h http.Handler) (ids []string) {
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/graphql?query="+url.QueryEscape("{ products(first: 20) { nodes { id } } }"), http.NoBody)
	r.Host = "127.0.0.1:8080"
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	var answer struct {
		Data struct {
			Products struct{ Nodes []struct{ ID string } }
		}
	}
	require.NoError(b, json.Unmarshal(w.Body.Bytes(), &answer))
	for _, node := range answer.Data.Products.Nodes {
		ids = append(ids, node.ID)
	}
	require.Len(b, ids, 20)
	return ids
}

func serveRepeatedly(b *testing.B, h http.Handler, body []byte, authorization string) {
	reader := bytes.NewReader(body)
	// As net/http makes it of a client's request.
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/graphql", io.NopCloser(reader))
	require.NoError(b, err)
	r.Host, r.RemoteAddr, r.ContentLength = "127.0.0.1:8080", "127.0.0.1:50000", int64(len(body))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	b.ReportAllocs()
	for b.Loop() {
		reader.Reset(body)
		one := *r
		w := discarded{header: http.Header{}}
		h.ServeHTTP(&w, &one)
		if w.status != http.StatusOK {
			b.Fatal(w.status)
		}
	}
}
