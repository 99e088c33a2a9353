package graph

import (
	"os"
	"path/filepath"
	"testing"

	gqlgen "github.com/99designs/gqlgen/complexity"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
	"onhand/graph/guard"
)

// costOf returns the cost of a document's first operation.
func costOf(t *testing.T, document string, variables map[string]any) int {
	t.Helper()
	schema := generated.NewExecutableSchema(generated.Config{Complexity: complexity()})
	parsed, errs := gqlparser.LoadQueryWithRules(schema.Schema(), document, rules.NewDefaultRules())
	require.Empty(t, errs)
	return gqlgen.Calculate(t.Context(), schema, parsed.Operations[0], variables)
}

// TestCosts: a field that reads or writes has a cost of its own, and a list costs its
// element times its possible length.
func TestCosts(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]int{
		`{ node(id: "a") { id } }`:                                                             10 + 1,
		`{ product(id: "a") { id title } }`:                                                    10 + 2,
		`{ stock(productId: "a") { id } }`:                                                     10 + 1,
		`{ stock(productId: "a") { levels { available reserved } } }`:                          10 + 5*2,
		`{ reservation(id: "a") { id } b: reservation(id: "b") {id} }`:                         2 * (10 + 1),
		`{ reservation(id: "a") { lines { productId } } }`:                                     10 + 100*1,
		`{ reservation(id: "a") { lines { allocations { quantity } } } }`:                      10 + 100*5,
		`{ location(id: "a") { id } }`:                                                         10 + 1,
		`{ locations { id name } }`:                                                            20 * 2,
		`{ channels { id locations { id } } }`:                                                 20 * (1 + 5),
		`{ stocks(productIds: ["a", "b", "c"]) { id version } }`:                               10 + 3*2,
		`{ stocks(productIds: []) { id version } }`:                                            10,
		`{ products { nodes { id } } }`:                                                        500 + 50*(1+1),
		`{ products(first: 3) { nodes { id } } }`:                                              500 + 3*(1+1),
		`{ products(last: 1000000) { nodes { id } } }`:                                         500 + 250*(1+1),
		`mutation { releaseReservation(input: {id: "a"}) { replayed errors { __typename } } }`: 500 + 1 + 5,
		`mutation { reserveStock(input: {idempotencyKey: "k", lines: []}) { reservation { lines { productId } } } }`: 500 + 1 + 100,
		`mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: []}) { stocks { id } } }`:          500 + 100,

		`{ serverTime }`: 500,
		`{ stock(productId: "a", asOf: "2020-01-01T00:00:00Z") { id } }`: 500 + 1,
		`{ stockMovements(last: 3) { nodes { id changes { delta } } } }`: 500 + 3*(1+1+5),
	} {
		assert.Equal(t, want, costOf(t, document, nil), document)
	}
}

// TestRealDocumentsFit: each sample operation of the playground costs less than a
// quarter of the limit, and 250 products with every field cost less than the limit.
func TestRealDocumentsFit(t *testing.T) {
	t.Parallel()
	operations, err := filepath.Glob("../web/operations/*.graphql")
	require.NoError(t, err)
	require.NotEmpty(t, operations)
	for _, path := range operations {
		document, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Less(t, costOf(t, string(document), nil), guard.ComplexityMax/4, path)
	}
	everything, err := os.ReadFile("testdata/everything.graphql")
	require.NoError(t, err)
	ids := make([]any, 250)
	for i := range ids {
		ids[i] = "p"
	}
	assert.Less(t, costOf(t, string(everything), map[string]any{"ids": ids}), guard.ComplexityMax)
}
