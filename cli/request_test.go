package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/graph/transport"
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
// variables, complexity, and the answer. The second document has the variables of a page, and leaves out the field.
func BenchmarkRequest(b *testing.B) {
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	require.NoError(b, err)
	b.Cleanup(st.Close)
	require.NoError(b, prepare(b.Context(), st, true, slog.New(slog.DiscardHandler)))
	require.NoError(b, st.Start())
	h := routes(st, transport.NewClosing(), slog.New(slog.DiscardHandler), false)
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = "product-000000" + string(rune('a'+i))
	}
	page := `query($ids: [ID!]!, $all: Boolean!) { __typename stocks(productIds: $ids) @include(if: $all) { productId quantityAvailable version } }`
	for name, request := range map[string]map[string]any{
		"typename": {"query": "{ __typename }"},
		"page":     {"query": page, "variables": map[string]any{"ids": ids, "all": false}},
	} {
		body, err := json.Marshal(request)
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) { serveRepeatedly(b, h, body) })
	}
}

func serveRepeatedly(b *testing.B, h http.Handler, body []byte) {
	reader := bytes.NewReader(body)
	// As net/http makes it of a client's request.
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "/graphql", io.NopCloser(reader))
	require.NoError(b, err)
	r.Host, r.RemoteAddr, r.ContentLength = "127.0.0.1:8080", "127.0.0.1:50000", int64(len(body))
	r.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json"}}
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
