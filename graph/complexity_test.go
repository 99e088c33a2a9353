package graph

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
	"onhand/graph/guard"
)

// costOf returns the cost of a document's first operation, at its first use.
func costOf(t *testing.T, document string, variables map[string]any) guard.Cost {
	t.Helper()
	schema := generated.NewExecutableSchema(generated.Config{Complexity: complexity()})
	parsed, errs := gqlparser.LoadQueryWithRules(schema.Schema(), document, rules.NewDefaultRules())
	require.Empty(t, errs, document)
	return charged(t, schema, &graphql.OperationContext{Doc: parsed, Operation: parsed.Operations[0], Variables: variables})
}

// charged returns the cost of an operation.
func charged(t *testing.T, schema graphql.ExecutableSchema, operation *graphql.OperationContext) (told guard.Cost) {
	t.Helper()
	limit := &guard.Complexity{Limit: math.MaxInt, Arguments: argumentCosts(), Charge: func(_ context.Context, _ *graphql.OperationContext, cost guard.Cost) *gqlerror.Error {
		told = cost
		return nil
	}}
	require.NoError(t, limit.Validate(schema))
	require.Nil(t, limit.MutateOperationContext(t.Context(), operation))
	return told
}

// TestCosts: a field that reads or writes has a cost of its own, and a list costs its
// element times its possible length.
func TestCosts(t *testing.T) {
	t.Parallel()
	for document, want := range map[string]int{
		`{ node(id: "a") { id } }`:                                                                                10 + 1,
		`{ product(id: "a") { id title } }`:                                                                       10 + 2,
		`{ stock(productId: "a") { id } }`:                                                                        10 + 1,
		`{ stock(productId: "a") { levels { available reserved } } }`:                                             10 + 5*2,
		`{ reservation(id: "a") { id } b: reservation(id: "b") {id} }`:                                            2 * (10 + 1),
		`{ reservation(id: "a") { lines { productId } } }`:                                                        10 + 100*1,
		`{ reservation(id: "a") { lines { allocations { quantity } } } }`:                                         10 + 100*5,
		`{ location(id: "a") { id } }`:                                                                            10 + 1,
		`{ locations { id name } }`:                                                                               20 * 2,
		`{ channels { id locations { id } } }`:                                                                    20 * (1 + 5),
		`{ operations { instance { version audit { differences { kind } } } } }`:                                  500 + 1 + 1 + 1 + 5,
		`{ stockHistory(productId: "a", since: "2030-01-01T00:00:00Z", points: 10) { points { at available } } }`: 500 + 50 + 10*3,
		`{ stockHistories(productIds: ["a", "b"], since: "2030-01-01T00:00:00Z") { points { available levels { available } } } }`:                     500 + 2*50 + 2*60*(2+5),
		`{ stocks(productIds: ["a", "b", "c"]) { id version } }`:                                                                                      10 + 3*2,
		`{ stocks(productIds: []) { id version } }`:                                                                                                   10,
		`{ products { nodes { id } } }`:                                                                                                               500 + 50*(1+1),
		`{ products(first: 3) { nodes { id } } }`:                                                                                                     500 + 3*(1+1),
		`{ products(last: 1000000) { nodes { id } } }`:                                                                                                500 + 250*(1+1),
		`mutation { releaseReservation(input: {id: "a"}) { replayed errors { __typename } } }`:                                                        500 + 1 + 5,
		`mutation { reserveStock(input: {idempotencyKey: "k", lines: []}) { reservation { lines { productId } } } }`:                                  500 + 1 + 100,
		`mutation { reserveStock(input: {idempotencyKey: "k", lines: [{productId: "a", quantity: 1}, {productId: "b", quantity: 1}]}) { replayed } }`: 500 + 2 + 1,
		`subscription { stockChanged(productIds: ["a", "b"]) { id version } }`:                                                                        10 + 2*2,
		`{ stocks(productIds: "a") { id version } }`:                                                                                                  10 + 2,
		`{ products(filter: {ids: ["a", "b"]}) { nodes { id } } }`:                                                                                    500 + 50*(1+1),
		`mutation { adjustStock(input: {idempotencyKey: "k", reason: OTHER, rows: []}) { stocks { id } } }`:                                           500 + 100,

		`{ serverTime }`: 500,
		`{ stock(productId: "a", asOf: "2020-01-01T00:00:00Z") { id } }`: 500 + 1,
		`{ stockMovements(last: 3) { nodes { id changes { delta } } } }`: 500 + 3*(1+1+5),
	} {
		assert.Equal(t, want, costOf(t, document, nil).Complexity, document)
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
		assert.Less(t, costOf(t, string(document), nil).Complexity, guard.ComplexityMax/4, path)
	}
	everything, err := os.ReadFile("testdata/everything.graphql")
	require.NoError(t, err)
	ids := make([]any, 250)
	for i := range ids {
		ids[i] = "p"
	}
	assert.Less(t, costOf(t, string(everything), map[string]any{"ids": ids}).Complexity, guard.ComplexityMax)
}

// TestCostsOfLengths: a list costs its length, whether it is sent as a literal or as a
// variable, and the lists of a write's answer are as long as its rows.
func TestCostsOfLengths(t *testing.T) {
	t.Parallel()
	lines := make([]any, 1_000)
	for i := range lines {
		lines[i] = map[string]any{"productId": "a", "quantity": int64(1)}
	}
	write := func(lines []any) guard.Cost {
		return costOf(t, `mutation($i: ReserveStockInput!) { reserveStock(input: $i) { reservation { lines { productId } } } }`,
			map[string]any{"i": map[string]any{"idempotencyKey": "k", "lines": lines}})
	}
	assert.Equal(t, guard.Cost{Complexity: 500 + 2 + 101, Keys: 2}, write(lines[:2]))
	assert.Equal(t, guard.Cost{Complexity: 500 + 100 + 101, Keys: 100}, write(lines[:100]))
	assert.Equal(t, guard.Cost{Complexity: 500 + 1_000 + 10*101, Keys: 1_000}, write(lines))
	assert.Equal(t, 4, costOf(t, `{ a: stock(productId: "a") { id } node(id: "a") { id } stocks(productIds: ["a", "b"]) { id } }`, nil).Keys)
	assert.Equal(t, 3, costOf(t, `query($ids: [ID!]) { products(filter: {ids: $ids}) { nodes { id } } locations { id } }`, map[string]any{"ids": lines[:3]}).Keys)
}

// TestKeysAreBounded: an operation that names more ids, lines and rows than the limit is
// refused, however many fields they are spread over.
func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{Complexity: complexity()})
	parsed, errs := gqlparser.LoadQueryWithRules(schema.Schema(), `query($ids: [ID!]!) { a: stocks(productIds: $ids) { id } b: stocks(productIds: $ids) { id } }`, rules.NewDefaultRules())
	require.Empty(t, errs)
	limit := &guard.Complexity{Limit: math.MaxInt, KeysLimit: 6, Arguments: argumentCosts()}
	require.NoError(t, limit.Validate(schema))
	for n, refused := range map[int]bool{3: false, 4: true} {
		ids := make([]any, n)
		problem := limit.MutateOperationContext(t.Context(), &graphql.OperationContext{Doc: parsed, Operation: parsed.Operations[0], Variables: map[string]any{"ids": ids}})
		require.Equal(t, refused, problem != nil)
		if refused {
			assert.Equal(t, "an operation names at most 6 ids, lines and rows together, not 8", problem.Message)
			assert.Equal(t, "BAD_USER_INPUT", problem.Extensions["code"])
		}
	}
}

// TestComplexityOfKnownDocuments: the cost of a document in the cache is the one at its first use, whatever the
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
			cost := charged(t, schema, &graphql.OperationContext{Doc: parsed, Operation: parsed.Operations[0], Variables: variables})
			want := cost.Complexity
			operation := &graphql.OperationContext{Doc: parsed, Operation: parsed.Operations[0], Variables: variables}
			guard.SetDocument(operation, known)
			for range 2 {
				assert.Equal(t, cost, charged(t, schema, operation), "%s %v", document, variables)
			}
			limit := &guard.Complexity{Limit: want - 1, Arguments: argumentCosts()}
			require.NoError(t, limit.Validate(schema))
			problem := limit.MutateOperationContext(t.Context(), operation)
			require.NotNil(t, problem, "%s %v", document, variables)
			assert.Equal(t, fmt.Sprintf("operation has complexity %d, which exceeds the limit of %d", want, want-1), problem.Message)
			assert.Equal(t, "COMPLEXITY_LIMIT_EXCEEDED", problem.Extensions["code"])
		}
	}
}

// TestEveryWriteHasACost: each field of Mutation, and each field of Query that reads, costs
// more than a field of an object.
func TestEveryWriteHasACost(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	costs := argumentCosts()
	for _, field := range schema.Mutation.Fields {
		assert.NotNil(t, costs["Mutation."+field.Name], field.Name)
	}
	for _, field := range schema.Query.Fields {
		if !strings.HasPrefix(field.Name, "__") && field.Name != "locations" && field.Name != "channels" {
			assert.NotNil(t, costs["Query."+field.Name], field.Name)
		}
	}
	for name := range costs {
		of, field, _ := strings.Cut(name, ".")
		assert.NotNil(t, schema.Types[of].Fields.ForName(field), name)
	}
}
