package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/transport/push"
	"onhand/models"
)

// fakeStocks opens fakePushes.
type fakeStocks struct {
	mu        sync.Mutex
	opened    []*fakePush
	channels  []string
	directory *models.Directory
	refuse    error
}

// PushStock implements Stocks.
func (f *fakeStocks) PushStock(_ context.Context, _ []string, channel string, notify func(now bool)) (models.Watch[*models.Stock], error) {
	if f.refuse != nil {
		return nil, f.refuse
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	w := &fakePush{notify: notify}
	f.opened, f.channels = append(f.opened, w), append(f.channels, channel)
	return w, nil
}

// Directory implements Stocks.
func (f *fakeStocks) Directory() *models.Directory { return f.directory }

// fakePush is a watch of what a test puts into it.
type fakePush struct {
	notify  func(now bool)
	pending []*models.Stock
	end     error
	closed  int
}

// Next implements models.Watch.
func (w *fakePush) Next(ctx context.Context) (*models.Stock, error) {
	if len(w.pending) == 0 {
		if w.end == nil {
			return nil, ctx.Err()
		}
		return nil, w.end
	}
	s := w.pending[0]
	w.pending = w.pending[1:]
	return s, nil
}

// Close implements models.Watch.
func (w *fakePush) Close() { w.closed++ }

// below is the schema below, which answers everything with its name.
type below struct{ graphql.ExecutableSchema }

// Exec implements graphql.ExecutableSchema.
func (below) Exec(context.Context) graphql.ResponseHandler {
	return graphql.OneShot(&graphql.Response{Data: []byte(`"below"`)})
}

func newTestSchema() (*PushSchema, *fakeStocks) {
	stocks := &fakeStocks{directory: models.NewDirectory([]models.Location{{LocationID: "london", Name: "London", Active: true}}, nil)}
	return New(below{generated.NewExecutableSchema(generated.Config{})}, stocks, 0), stocks
}

// subscribe executes an operation with an offer. It returns the source, nil where the
// schema below answered.
func subscribe(t *testing.T, s *PushSchema, document string, variables map[string]any) push.Source {
	t.Helper()
	return subscribeAs(t, t.Context(), s, document, variables)
}

func subscribeAs(t *testing.T, as context.Context, s *PushSchema, document string, variables map[string]any) push.Source {
	t.Helper()
	offer := &push.Offer{Notify: func(bool) {}}
	exec := executor.New(s)
	ctx := graphql.StartOperationTrace(push.With(as, offer))
	operation, errs := exec.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: variables})
	require.Empty(t, errs)
	responses, ctx := exec.DispatchOperation(ctx, operation)
	response := responses(ctx)
	if offer.Accepted() == nil {
		require.Equal(t, `"below"`, string(response.Data))
	} else {
		require.Nil(t, response)
	}
	return offer.Accepted()
}

func stockAt(id string, version int64) *models.Stock {
	return &models.Stock{
		Product: models.Product{ProductID: id, Tracked: true, InventoryPolicy: models.Deny, Version: version},
		Levels:  []models.Level{{ProductID: id, LocationID: "london", Active: true, Quantities: models.Quantities{Available: int(version)}}},
		Epoch:   "e", AsOf: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), Source: models.FromCache,
	}
}

const quantities = `subscription { stockChanged(productIds: ["a"]) { productId quantityAvailable version } }`

// TestPushed: a subscription to stock is pushed, with the bytes of a response, and ends
// with its watch.
func TestPushed(t *testing.T) {
	t.Parallel()
	s, stocks := newTestSchema()
	source := subscribe(t, s, quantities, nil)
	require.NotNil(t, source)
	payload, err := source.Next()
	require.NoError(t, err)
	assert.Nil(t, payload)
	watch := stocks.opened[0]
	watch.pending, watch.end = []*models.Stock{stockAt("a", 3)}, io.EOF
	payload, err = source.Next()
	require.NoError(t, err)
	assert.Equal(t, `{"data":{"stockChanged":{"productId":"a","quantityAvailable":3,"version":3}}}`, string(payload))
	_, err = source.Next()
	require.ErrorIs(t, err, io.EOF)
	source.Close()
	assert.Equal(t, 1, watch.closed)
	assert.Empty(t, s.selections.byKey)
}

// TestRenderedOnce: subscribers of one selection share a rendering, whatever their documents
// and their products are; another selection, stock or directory has another one.
func TestRenderedOnce(t *testing.T) {
	t.Parallel()
	s, stocks := newTestSchema()
	sources := []push.Source{
		subscribe(t, s, quantities, nil),
		subscribe(t, s, `subscription S($ids: [ID!]!) { stockChanged(productIds: $ids) { ...q version } } fragment q on Stock { productId quantityAvailable }`,
			map[string]any{"ids": []any{"a", "b"}}),
		subscribe(t, s, `subscription { stockChanged(productIds: ["a"]) { version } }`, nil),
	}
	assert.Len(t, s.selections.byKey, 2)
	give := func(stock *models.Stock) (payloads [][]byte) {
		for i, source := range sources {
			stocks.opened[i].pending = []*models.Stock{stock}
			payload, err := source.Next()
			require.NoError(t, err)
			payloads = append(payloads, payload)
		}
		return payloads
	}
	stock := stockAt("a", 1)
	one := give(stock)
	assert.Same(t, &one[0][0], &one[1][0])
	assert.NotEqual(t, one[0], one[2])
	again := give(stock)
	assert.Same(t, &one[0][0], &again[0][0])
	other := give(stockAt("a", 1))
	assert.Equal(t, one, other)
	assert.NotSame(t, &one[0][0], &other[0][0])
	stocks.directory = models.NewDirectory(nil, nil)
	renamed := give(stock)
	assert.NotSame(t, &one[0][0], &renamed[0][0])
	for _, source := range sources {
		source.Close()
	}
	assert.Empty(t, s.selections.byKey)
}

// TestLargeRenderings: they are right, and are not remembered.
func TestLargeRenderings(t *testing.T) {
	t.Parallel()
	s, stocks := newTestSchema()
	source := subscribe(t, s, `subscription { stockChanged(productIds: ["a"]) { product { title } } }`, nil)
	stock := stockAt("a", 1)
	title := strings.Repeat("t", renderingBytesMax)
	stock.Title = &title
	stocks.opened[0].pending = []*models.Stock{stock, stock}
	one, err := source.Next()
	require.NoError(t, err)
	two, err := source.Next()
	require.NoError(t, err)
	assert.Equal(t, `{"data":{"stockChanged":{"product":{"title":"`+title+`"}}}}`, string(one))
	assert.Equal(t, one, two)
	assert.NotSame(t, &one[0], &two[0])
}

// TestConcurrentRenderings: goroutines that ask for the same renderings get right ones.
func TestConcurrentRenderings(t *testing.T) {
	t.Parallel()
	s, _ := newTestSchema()
	selected := subscribe(t, s, quantities, nil).(*subscription).selection.StockSelection
	list := make([]*models.Stock, 3*renderingsMax)
	for i := range list {
		list[i] = stockAt("a", int64(i))
	}
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for i, stock := range list {
				want := fmt.Sprintf(`{"data":{"stockChanged":{"productId":"a","quantityAvailable":%d,"version":%d}}}`, i, i)
				if got := s.renderings.of(rendered{selected, stock, nil, 0}); string(got) != want {
					t.Errorf("%s, not %s", got, want)
					return
				}
			}
		})
	}
	asking.Wait()
}

// TestNotPushed: the schema below answers what cannot be pushed, and everything that is
// refused.
func TestNotPushed(t *testing.T) {
	t.Parallel()
	s, stocks := newTestSchema()
	many := make([]any, models.StocksMax+1)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, test := range map[string]struct {
		document  string
		variables map[string]any
	}{
		"query":             {`{ locations { id } }`, nil},
		"loads stock":       {`subscription { stockChanged(productIds: ["a"]) { product { stock { id } } } }`, nil},
		"another":           {`subscription { reservationChanged(id: "x") { id } }`, nil},
		"empty product id":  {`subscription { stockChanged(productIds: [""]) { id } }`, nil},
		"too many products": {`subscription S($ids: [ID!]!) { stockChanged(productIds: $ids) { id } }`, map[string]any{"ids": many}},
		"empty channel":     {`subscription { stockChanged(productIds: ["a"], channel: "") { id } }`, nil},
	} {
		assert.Nil(t, subscribe(t, s, test.document, test.variables), name)
	}
	stocks.refuse = errors.New("unknown channel")
	assert.Nil(t, subscribe(t, s, quantities, nil))
	assert.Empty(t, stocks.opened)
	stocks.refuse = nil
	source := subscribe(t, s, `subscription { stockChanged(productIds: ["a"], channel: "web") { id } }`, nil)
	require.NotNil(t, source)
	assert.Equal(t, []string{"web"}, stocks.channels)

	response := s.Exec(t.Context())(t.Context()) // no offer
	assert.Equal(t, `"below"`, string(response.Data))
}

// TestClassesOfViewers: callers with and without read:inventory do not share a rendering.
// A capped one gets no stock that looks to it like the one before.
func TestClassesOfViewers(t *testing.T) {
	t.Parallel()
	s, stocks := newTestSchema()
	s.limit = 3
	reader := guard.WithIdentity(t.Context(), guard.Identity{Subject: "reader", Scopes: []guard.Scope{guard.ReadInventory}})
	document := `subscription { stockChanged(productIds: ["a"]) { quantityAvailable } }`
	exact, capped := subscribeAs(t, reader, s, document, nil), subscribe(t, s, document, nil)
	for _, c := range []struct {
		version           int64
		toExact, toCapped string
	}{
		{9, `{"data":{"stockChanged":{"quantityAvailable":9}}}`, `{"data":{"stockChanged":{"quantityAvailable":3}}}`},
		{8, `{"data":{"stockChanged":{"quantityAvailable":8}}}`, ``},
		{2, `{"data":{"stockChanged":{"quantityAvailable":2}}}`, `{"data":{"stockChanged":{"quantityAvailable":2}}}`},
	} {
		stock := stockAt("a", c.version)
		for i, want := range []string{c.toExact, c.toCapped} {
			stocks.opened[i].pending = []*models.Stock{stock}
			payload, err := []push.Source{exact, capped}[i].Next()
			require.NoError(t, err)
			require.Equal(t, want, string(payload))
		}
	}
}
