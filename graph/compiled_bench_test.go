package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/paging"
)

// benchmarked are the documents whose cost is measured, each for 20 products.
var benchmarked = map[string]string{
	"three": `query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable status } }`,
	"ten": `query($ids: [ID!]!) { stocks(productIds: $ids) { id productId status availableForSale quantityAvailable onHand reserved incoming version
		levels { location { name pickup } available onHand } } }`,
	"channel":  `query($ids: [ID!]!) { stocks(productIds: $ids, channel: "web") { productId quantityAvailable status } }`,
	"products": `query($ids: [ID!]!) { products(first: 20, filter: {ids: $ids}) { nodes { id title stock { quantityAvailable status } } } }`,
}

// BenchmarkReads measures a request of 20 products, without network and store.
func BenchmarkReads(b *testing.B) {
	ids, stocks := make([]string, 20), map[string]*models.Stock{}
	page := paging.ProductPage{}
	for i := range ids {
		ids[i] = "many-" + strconv.Itoa(i)
		s := comparedStock(ids[i], int64(i+1))
		s.Levels = s.Levels[:3] // one at a closed location
		stocks[ids[i]] = s
		page.Products = append(page.Products, stocks[ids[i]].Product)
	}
	store := &benchedStore{fakeStore{
		directory: comparedDirectory(),
		products:  func() (paging.ProductPage, error) { return page, nil },
		stocks: func(ids []string) ([]*models.Stock, error) {
			found := make([]*models.Stock, len(ids))
			for i, id := range ids {
				found[i] = stocks[id]
			}
			return found, nil
		},
	}}
	for name, document := range benchmarked {
		body, err := json.Marshal(request{Query: document, Variables: map[string]any{"ids": ids}})
		require.NoError(b, err)
		for kind, interpreted := range map[string]bool{"compiled": false, "interpreted": true} {
			api := graph.Handler(graph.HandlerConfig{
				Resolver: &graph.Resolver{Store: store, Log: slog.New(slog.DiscardHandler)}, Closing: transport.NewClosing(), Interpreted: interpreted,
			})
			b.Run(name+"/"+kind, func(b *testing.B) { benchRequest(b, api, body) })
		}
	}
}

// BenchmarkEntities measures what a gateway asks for a page of 100 products, ten of which
// are unknown, without network and store.
func BenchmarkEntities(b *testing.B) {
	stocks, keys := map[string]*models.Stock{}, make([]key, 100)
	for i := range keys {
		id := "many-" + strconv.Itoa(i)
		keys[i] = keyOf("Product", id)
		if i%10 > 0 {
			stocks[id] = comparedStock(id, int64(i+1))
		}
	}
	store := &benchedStore{fakeStore{directory: comparedDirectory(), stocks: func(ids []string) ([]*models.Stock, error) {
		found := make([]*models.Stock, len(ids))
		for i, id := range ids {
			found[i] = stocks[id]
		}
		return found, nil
	}}}
	body, err := json.Marshal(request{Query: pageQuery, Variables: map[string]any{"representations": keys}})
	require.NoError(b, err)
	for kind, api := range bothExecutors(store) {
		b.Run(kind, func(b *testing.B) { benchRequest(b, api, body) })
	}
}

func benchRequest(b *testing.B, api http.Handler, body []byte) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/graphql", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Body)
		}
	}
}

// benchedStore does not keep the ids that it is asked for.
type benchedStore struct{ fakeStore }

// Stocks implements graph.Store.
func (s *benchedStore) Stocks(_ context.Context, ids []string) ([]*models.Stock, error) {
	return s.stocks(ids)
}
