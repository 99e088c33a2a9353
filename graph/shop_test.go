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
	"onhand/graph/transports"
	"onhand/models"
	"onhand/store"
	"onhand/store/openingstock"
	"onhand/store/stockfile"
)

// oddProducts have ids that meet every way of quoting there is between a
// request and the database. Each has seven units in London.
var oddProducts = []string{`"quoted" \ id`, `a'b;--`, `{curly}[square]*?`, "käse/été 🧀", "inventory:22423", "Stock:zz zz", "%_"}

// shop is the API over an embedded store with the demo catalogue.
type shop struct {
	store   *store.Store
	api     http.Handler // without an identity
	closing *transports.Closing
}

// exact reads from the database only. A busy machine may be late in telling the
// cache of a write; the store's own tests hold that to its promises, and the
// answers here must be the same every time.
type exact struct{ *store.Store }

// Stocks implements graph.Store.
func (e exact) Stocks(ctx context.Context, ids []string) ([]*models.Stock, error) {
	stocks := make([]*models.Stock, len(ids))
	for i, id := range ids {
		var err error
		if stocks[i], err = e.FreshStock(ctx, id); err != nil {
			return nil, err
		}
	}
	return stocks, nil
}

// openShop makes a shop of its own; close it when done.
func openShop() (*shop, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	st, err := store.Open(store.Config{DatabaseURL: "sqlite::memory:"})
	if err != nil {
		return nil, err
	}
	s := &shop{store: st, closing: transports.NewClosing()}
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

func (s *shop) apiOver(st graph.Store) http.Handler {
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: slog.New(slog.DiscardHandler)},
		Closing:  s.closing,
	})
}

func fillShop(ctx context.Context, st *store.Store) error {
	demo, locations, channels := stockfile.Demo()
	locations = append(locations, models.Location{LocationID: "closed", Name: "Closed shop", Priority: 9})
	rows := make([]openingstock.LevelCount, 0, len(demo)+len(oddProducts)+1)
	for _, row := range demo {
		rows = append(rows, openingstock.LevelCount(row))
	}
	for _, id := range oddProducts {
		rows = append(rows, openingstock.LevelCount{ProductID: id, Title: "Odd " + id, LocationID: "london", Available: 7})
	}
	rows = append(rows, openingstock.LevelCount{ProductID: "untitled", LocationID: "closed", Available: 5})
	return st.ImportOpening(ctx, rows, locations, channels, nil)
}

// newShop is for tests that write: its API reads what was written at once.
func newShop(t *testing.T) *shop {
	t.Helper()
	s, err := openShop()
	require.NoError(t, err)
	t.Cleanup(s.store.Close)
	s.api = s.apiOver(exact{s.store})
	return s
}

// sharedShop is for tests that only read, through the cache.
var sharedShop = sync.OnceValues(openShop)

func readingShop(t *testing.T) *shop {
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

// identities are who may ask, by the names that golden files use.
var identities = map[string]func(http.Handler) http.Handler{
	"": guard.Local,
	"anonymous": func(next http.Handler) http.Handler {
		return next
	},
	"reader": somebody("reader", guard.ReadInventory),
	"orders": somebody("orders", guard.WriteOrders),
}

func somebody(subject string, scopes ...guard.Scope) func(http.Handler) http.Handler {
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

// post sends a request to a handler as somebody, and holds the answer to what
// every answer must keep.
func post(t *testing.T, api http.Handler, as string, q request) (status int, body []byte) {
	t.Helper()
	raw, err := json.Marshal(q)
	require.NoError(t, err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", bytes.NewReader(raw))
	r.Header.Set("Content-Type", "application/json")
	return answerTo(t, identities[as](api), r)
}

// answerTo serves one request without a network.
func answerTo(t *testing.T, api http.Handler, r *http.Request) (status int, body []byte) {
	t.Helper()
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	body = w.Body.Bytes()
	mustNotLeak(t, body)
	return w.Code, body
}

// secrets is what no client should ever read: SQL, drivers, keys, addresses,
// paths, stacks.
var secrets = regexp.MustCompile(`(?i)\bselect\b.+\bfrom\b|insert into|update \w+ set|sqlite|sqlstate|pgx|\bgorm\b|no such (table|column)|` +
	`constraint failed|violates|/root/|/home/|/tmp/|/usr/|\.go:\d|goroutine \d|runtime/|runtime error|panic|nil pointer|onhand/|0x[0-9a-f]{6}|` +
	`\bdial\b|connection refused|127\.0\.0\.1:\d|hgetall|evalsha|miniredis|rediscache|secret`)

// mustNotLeak holds every answer to the same promise: nothing of our insides.
func mustNotLeak(t *testing.T, body []byte) {
	t.Helper()
	assert.Empty(t, string(secrets.Find(body)), "the answer shows our insides: %s", body)
}
