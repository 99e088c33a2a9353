package graph

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	gqlgen "github.com/99designs/gqlgen/complexity"
	"github.com/99designs/gqlgen/graphql"
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

// TestComplexityOfKnownDocuments: the complexity of a document in the cache is the one that gqlgen counts, whatever the
// values of the variables. Fragments with more fields than are kept, and interfaces, are counted too.
func TestComplexityOfKnownDocuments(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{Complexity: complexity()})
	type values = map[string]any
	ids, size := []any{"a", "b", "c"}, int64(7)
	large := "query($n: Int) { " + strings.Repeat("...F ", 40) + "} fragment F on Query { a: products(first: $n) { nodes { id } } b: products(last: $n) { nodes { title } } }"
	for document, list := range map[string][]values{
		`query($ids: [ID!]!) { stocks(productIds: $ids) { id levels { available location { id } } } }`:                                                         {{"ids": ids}, {"ids": []any{}}},
		`query($id: ID!, $at: Time) { stock(productId: $id, asOf: $at) { id } }`:                                                                               {{"id": "a"}, {"id": "a", "at": nil}, {"id": "a", "at": "2026-03-01T12:00:00Z"}},
		`query($id: ID!) { stock(productId: $id) { product { stock(channel: $id) { id } } } }`:                                                                 {{"id": "a"}},
		`query($n: Int) { products(first: $n) { nodes { id } } }`:                                                                                              {{"n": size}, {"n": nil}, {}},
		`query($n: Int, $ids: [ID!]) { products(last: $n, filter: {ids: $ids}) { nodes { id stock { version } } edges { cursor } } }`:                          {{"n": size, "ids": ids}, {"n": int64(1000)}},
		`query($n: Int) { reservations(first: $n) { nodes { id lines { allocations { quantity } } } } }`:                                                       {{"n": size}, {}},
		`query($id: ID!) { node(id: $id) { id ... on Stock { levels { available } } ... on Reservation { lines { productId } } } }`:                            {{"id": "a"}},
		`query($ids: [ID!]!) { ...A } fragment A on Query { stocks(productIds: $ids) { ...B } locations { id } } fragment B on Stock { id product { title } }`: {{"ids": ids}},
		`{ __schema { types { name } } __type(name: "Stock") { fields { name } } locations { name } }`:                                                         {nil},
		large: {{"n": size}, {}},
	} {
		parsed, errs := gqlparser.LoadQueryWithRules(schema.Schema(), document, rules.NewDefaultRules())
		require.Empty(t, errs, document)
		known := &guard.Document{Query: parsed}
		for _, variables := range list {
			want := gqlgen.Calculate(t.Context(), schema, parsed.Operations[0], variables)
			limit := &guard.Complexity{Limit: want, RawCosts: rawCosts()}
			require.NoError(t, limit.Validate(schema))
			operation := &graphql.OperationContext{Doc: parsed, Operation: parsed.Operations[0], Variables: variables}
			guard.SetDocument(operation, known)
			for range 2 {
				assert.Nil(t, limit.MutateOperationContext(t.Context(), operation), "%s %v", document, variables)
			}
			limit.Limit = want - 1
			problem := limit.MutateOperationContext(t.Context(), operation)
			require.NotNil(t, problem, "%s %v", document, variables)
			assert.Equal(t, fmt.Sprintf("operation has complexity %d, which exceeds the limit of %d", want, want-1), problem.Message)
			assert.Equal(t, "COMPLEXITY_LIMIT_EXCEEDED", problem.Extensions["code"])
		}
	}
}
