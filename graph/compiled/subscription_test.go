package compiled_test

import (
	"context"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/access"
	"onhand/graph/compiled"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/viewer"
	"onhand/models"
)

// resolvers answer stockChanged with one stock.
type resolvers struct {
	generated.ResolverRoot
	generated.SubscriptionResolver
	generated.StockLevelResolver
	generated.StockResolver
	stock     *models.Stock
	directory *models.Directory
}

func (r *resolvers) Subscription() generated.SubscriptionResolver { return r }
func (r *resolvers) StockLevel() generated.StockLevelResolver     { return r }
func (r *resolvers) Stock() generated.StockResolver               { return r }

func (r *resolvers) QuantityAvailable(_ context.Context, s *models.Stock) (*int, error) {
	return viewer.QuantityCap(2).Available(s), nil
}

func (r *resolvers) StockChanged(context.Context, []string, *string) (<-chan *models.Stock, error) {
	events := make(chan *models.Stock, 1)
	events <- r.stock
	close(events)
	return events, nil
}

func (r *resolvers) Location(_ context.Context, l *models.LevelView) (*models.Location, error) {
	return r.directory.LocationNamed(l.LocationID), nil
}

// newResolvers have a stock with two levels.
func newResolvers() *resolvers {
	r := &resolvers{directory: models.NewDirectory([]models.Location{{LocationID: "london", Name: "London"}}, nil)}
	r.stock = &models.Stock{Product: models.Product{ProductID: "mug \"1\"", Tracked: true, Version: 7}, AsOf: time.UnixMilli(1_900_000_000_123), Source: models.FromCache}
	for _, at := range []string{"london", "new"} {
		r.stock.Levels = append(r.stock.Levels, models.Level{ProductID: "mug", LocationID: at, Active: true, Quantities: models.Quantities{Available: 3}})
	}
	return r
}

// operation validates a document, and returns its operation and the first event that
// gqlgen's executor sends.
func (r *resolvers) operation(t *testing.T, document string, variables map[string]any) (*graphql.OperationContext, string) {
	t.Helper()
	e := executor.New(generated.NewExecutableSchema(generated.Config{Resolvers: r, Directives: generated.DirectiveRoot{
		Anonymous: access.Anonymous, RequiresScopes: access.RequiresScopes,
	}}))
	ctx := graphql.StartOperationTrace(guard.WithIdentity(t.Context(), guard.Identity{Scopes: guard.Scopes}))
	operation, errs := e.CreateOperationContext(ctx, &graphql.RawParams{Query: document, Variables: variables})
	require.Empty(t, errs)
	responses, ctx := e.DispatchOperation(ctx, operation)
	response := responses(ctx)
	require.NotNil(t, response)
	return operation, string(response.Data)
}

// TestStockSelections: an event is rendered as gqlgen's executor renders it.
func TestStockSelections(t *testing.T) {
	t.Parallel()
	r := newResolvers()
	for _, selection := range []string{
		`id productId status availableForSale quantityAvailable onHand reserved committed incoming nextRestockAt version asOf source __typename`,
		`levels { id location { id name } available } product { id title tracked channelBuffers { buffer } }`,
		`a: version ...F ... on Node { id } ... @skip(if: $x) { b: version } ... @include(if: $x) { c: version }`,
	} {
		document := `subscription($ids: [ID!]! $x: Boolean = true) { mine: stockChanged(productIds: $ids, channel: "web") {` + selection + ` ...F } } fragment F on Stock { asOf @skip(if: $x) id }`
		operation, want := r.operation(t, document, map[string]any{"ids": []any{"mug", "tea"}})
		changes, ok := compiled.Subscription(operation)
		require.True(t, ok, selection)
		assert.Equal(t, []string{"mug", "tea"}, changes.ProductIDs)
		assert.Equal(t, "web", *changes.Channel)
		b := changes.Selection.Append([]byte("before "), r.stock, r.directory, 2)
		assert.Equal(t, "before "+want, string(b))
	}
}

// TestSelectionKeys: documents that show the same have one key, others have not.
func TestSelectionKeys(t *testing.T) {
	t.Parallel()
	r := newResolvers()
	key := func(document string) string {
		operation, _ := r.operation(t, document, nil)
		changes, ok := compiled.Subscription(operation)
		require.True(t, ok, document)
		return changes.Selection.Key
	}
	want := key(`subscription { stockChanged(productIds: ["mug"]) { id levels { id available } } }`)
	for _, same := range []string{
		`subscription S { stockChanged(productIds: ["tea"], channel: "web") { ... on Stock { id } levels { id } levels { available } } }`,
		`subscription($x: Boolean = false) { stockChanged(productIds: ["mug"]) { id: id version @include(if: $x) levels { ...L } } } fragment L on StockLevel { id available }`,
	} {
		assert.Equal(t, want, key(same))
	}
	for _, other := range []string{
		`subscription { stockChanged(productIds: ["mug"]) { levels { id available } id } }`,
		`subscription { stockChanged(productIds: ["mug"]) { id levels { id } available: onHand } }`,
		`subscription { a: stockChanged(productIds: ["mug"]) { id levels { id available } } }`,
		`subscription { stockChanged(productIds: ["mug"]) { id levels { id a: available } } }`,
		`subscription { stockChanged(productIds: ["mug"]) { id levels { id available } __typename } }`,
	} {
		assert.NotEqual(t, want, key(other))
	}
}

// TestNoSelection: what cannot be rendered is left to gqlgen's executor.
func TestNoSelection(t *testing.T) {
	t.Parallel()
	e := executor.New(generated.NewExecutableSchema(generated.Config{}))
	for document, variables := range map[string]map[string]any{
		`subscription { stockChanged(productIds: ["mug"]) { product { stock { id } } } }`:                                nil,
		`subscription { stockMoved { id } }`:                                                                             nil,
		`subscription($x: Boolean!) { stockChanged(productIds: ["mug"]) @skip(if: $x) { id } }`:                          {"x": true},
		`subscription($x: Boolean = true) { stockChanged(productIds: ["mug"]) { id version @skip(if: $x) } }`:            {"x": nil},
		`{ stock(productId: "mug") { id } }`:                                                                             nil,
		`subscription { stockChanged(productIds: ["mug"]) { ... @defer { id } } }`:                                       nil,
		`subscription { stockChanged(productIds: ["mug"]) { id ... on Stock { product { id s: stock { version } } } } }`: nil,
	} {
		operation, errs := e.CreateOperationContext(graphql.StartOperationTrace(t.Context()), &graphql.RawParams{Query: document, Variables: variables})
		if len(errs) > 0 { // gqlgen does not know @defer without its directive
			continue
		}
		_, ok := compiled.Subscription(operation)
		assert.False(t, ok, document)
	}
}

// BenchmarkStockSelection measures the rendering of one event.
func BenchmarkStockSelection(b *testing.B) {
	r := newResolvers()
	e := executor.New(generated.NewExecutableSchema(generated.Config{}))
	operation, errs := e.CreateOperationContext(graphql.StartOperationTrace(b.Context()), &graphql.RawParams{
		Query: `subscription { stockChanged(productIds: ["mug"]) { id productId status quantityAvailable version levels { location { name } available } } }`,
	})
	require.Empty(b, errs)
	changes, ok := compiled.Subscription(operation)
	require.True(b, ok)
	var out []byte
	b.ReportAllocs()
	for b.Loop() {
		out = changes.Selection.Append(out[:0], r.stock, r.directory, 0)
	}
}
