package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/models/paging"
	"onhand/store"
	"onhand/store/stockfile"
)

// oddProducts have ids with characters that are special in JSON, SQL, Redis or global
// ids. Each has seven units in London.
var oddProducts = []string{`"quoted" \ id`, `a'b;--`, `{curly}[square]*?`, "käse/été 🧀", "inventory:22423", "Stock:zz zz", "%_"}

// demoShop is the API over an embedded store with the demo catalogue.
type demoShop struct {
	store   *store.Store
	api     http.Handler // without an identity
	closing *transport.Closing
}

// uncachedStore reads from the database only. On a busy machine a write can reach the
// cache late. The store's tests check that, and the answers here must be the same every
// time.
type uncachedStore struct{ *store.Store }

// Stocks implements graph.Store.
func (u uncachedStore) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	stocks := make([]*models.Stock, len(ids))
	for i, id := range ids {
		var err error
		if stocks[i], err = u.FreshStock(ctx, id); err != nil {
			return nil, err
		}
	}
	return stocks, nil
}

// Products implements graph.Store. A page that was made from cached stocks gets those of
// the database.
func (u uncachedStore) Products(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error) {
	found, err := u.Store.Products(ctx, page, filter)
	if err != nil || found.Stocks == nil {
		return found, err
	}
	ids := make([]string, len(found.Stocks))
	for i, s := range found.Stocks {
		ids[i] = s.ProductID
	}
	if found.Stocks, err = u.Stocks(ctx, ids); err != nil {
		return found, err
	}
	found.Products = make([]models.Product, len(ids))
	for i, s := range found.Stocks {
		found.Products[i] = s.Product
	}
	return found, nil
}

// openShop returns a new shop. The caller closes its store.
func openShop() (*demoShop, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	if err != nil {
		return nil, err
	}
	s := &demoShop{store: st, closing: transport.NewClosing()}
	if _, err = st.Migrate(ctx); err == nil {
		err = fillShop(ctx, st)
	}
	if err == nil {
		err = st.Start()
	}
	if err != nil {
		st.Close()
		return nil, err
	}
	s.api = s.apiOver(st)
	return s, nil
}

func (s *demoShop) apiOver(st graph.Store) http.Handler {
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: slog.New(slog.DiscardHandler)},
		Closing:  s.closing, Interpreted: interpreted,
	})
}

func fillShop(ctx context.Context, st *store.Store) error {
	demo, locations, channels := stockfile.Demo()
	locations = append(locations, models.Location{LocationID: "closed", Name: "Closed shop", Priority: 9})
	rows := make([]models.OpeningRow, 0, len(demo)+len(oddProducts)+1)
	rows = append(rows, demo...)
	for _, id := range oddProducts {
		rows = append(rows, models.OpeningRow{ProductID: id, Title: "Odd " + id, LocationID: "london", Available: 7})
	}
	rows = append(rows, models.OpeningRow{ProductID: "untitled", LocationID: "closed", Available: 5})
	return st.ImportOpening(ctx, rows, locations, channels, nil)
}

// newShop returns a shop for a test that writes. Its API reads every write at once.
func newShop(t *testing.T) *demoShop {
	t.Helper()
	s, err := openShop()
	require.NoError(t, err)
	t.Cleanup(s.store.Close)
	s.api = s.apiOver(uncachedStore{s.store})
	return s
}

// sharedShop is for tests that only read. Its API reads through the cache.
var sharedShop = sync.OnceValues(openShop)

func readingShop(t *testing.T) *demoShop {
	t.Helper()
	s, err := sharedShop()
	require.NoError(t, err)
	return s
}

func closeShared() {
	if s, err := sharedShop(); err == nil {
		s.store.Close()
	}
}

// identities are the callers, by the names that golden files use.
var identities = map[string]func(http.Handler) http.Handler{
	"": guard.Local,
	"anonymous": func(next http.Handler) http.Handler {
		return next
	},
	"reader": caller("reader", guard.ReadInventory),
	"orders": caller("orders", guard.WriteOrders),
}

func caller(subject string, scopes ...guard.Scope) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r.WithContext(guard.WithIdentity(r.Context(), guard.Identity{Subject: subject, Scopes: scopes})))
		})
	}
}

// request is a GraphQL request.
type request struct {
	Query         string         `json:"query"`
	OperationName string         `json:"operationName,omitempty"`
	Variables     map[string]any `json:"variables,omitempty"`
}

// post sends a request as one of identities, and checks that the answer leaks nothing.
func post(t *testing.T, api http.Handler, as string, q request) (status int, body []byte) {
	t.Helper()
	raw, err := json.Marshal(q)
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	return serve(t, identities[as](api), r)
}

// serve answers one request without a network.
func serve(t *testing.T, api http.Handler, r *http.Request) (status int, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	body = w.Body.Bytes()
	mustNotLeak(t, body)
	return w.Code, body
}

// leaks matches what no client may read: SQL, drivers, keys, addresses, paths, stacks.
var leaks = regexp.MustCompile(`(?i)\bselect\b.+\bfrom\b|insert into|update \w+ set|sqlite|sqlstate|pgx|\bgorm\b|no such (table|column)|` +
	`constraint failed|violates|/root/|/home/|/tmp/|/usr/|\.go:\d|goroutine \d|runtime/|runtime error|panic|nil pointer|onhand/|0x[0-9a-f]{6}|` +
	`\bdial\b|connection refused|127\.0\.0\.1:\d|hgetall|evalsha|miniredis|rediscache|secret`)

// mustNotLeak checks that an answer shows no internals.
func mustNotLeak(t *testing.T, body []byte) {
	t.Helper()
	assert.Empty(t, string(leaks.Find(body)), "the answer shows internals: %s", body)
}
