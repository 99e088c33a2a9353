package execution_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/99designs/gqlgen/graphql/handler/extension"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/coercion"
	"onhand/graph/execution"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/persisted"
)

// used is what both executors have in common.
type used interface {
	graphql.GraphExecutor
	Use(graphql.HandlerExtension)
}

// configure adds extensions as the API has them.
func configure(e used, queries *persisted.Queries, documents *guard.Documents, limit graphql.HandlerExtension) {
	e.Use(queries)
	e.Use(documents)
	e.Use(&coercion.Variables{})
	e.Use(extension.Introspection{})
	e.Use(limit)
}

func ours(complexityMax int) *execution.OperationExecutor {
	documents, queries := guard.NewDocuments(), persisted.New(guard.Address)
	e := execution.New(generated.NewExecutableSchema(generated.Config{}), documents, nil)
	configure(e, queries, documents, &guard.Complexity{Limit: complexityMax})
	return e
}

func gqlgens(complexityMax int) *executor.Executor {
	documents := guard.NewDocuments()
	e := executor.New(generated.NewExecutableSchema(generated.Config{}))
	e.SetQueryCache(documents)
	e.SetDefaultRulesFn(coercion.Rules)
	configure(e, persisted.New(guard.Address), documents, extension.FixedComplexityLimit(complexityMax))
	return e
}

// request is one request in JSON, which each executor gets a copy of.
type request struct {
	Query, OperationName  string
	Variables, Extensions any
}

func (r request) params(t *testing.T) *graphql.RawParams {
	t.Helper()
	raw, err := json.Marshal(r)
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(raw)))
	decoder.UseNumber()
	var params graphql.RawParams
	require.NoError(t, decoder.Decode(&params))
	return &params
}

// prepared is what counts of an operation context.
type prepared struct {
	Query, Name    string
	Operation      string
	Variables      map[string]any
	NoIntrospector bool
	Errors         gqlerror.List
}

func prepare(t *testing.T, e graphql.GraphExecutor, r request) prepared {
	t.Helper()
	operation, errs := e.CreateOperationContext(graphql.StartOperationTrace(t.Context()), r.params(t))
	p := prepared{
		Query: operation.RawQuery, Name: operation.OperationName, Variables: operation.Variables,
		NoIntrospector: operation.DisableIntrospection, Errors: errs,
	}
	if operation.Operation != nil {
		p.Operation = operation.Operation.Name
	}
	if errs == nil {
		assert.NotNil(t, operation.RecoverFunc)
		assert.NotNil(t, operation.ResolverMiddleware)
		assert.NotNil(t, operation.RootResolverMiddleware)
	}
	return p
}

// sampleRequests are the golden documents with their variables, and requests with variables of every kind.
func sampleRequests(t *testing.T) (list []request) {
	t.Helper()
	paths, err := filepath.Glob("../testdata/*.graphql")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		list = append(list, request{Query: string(text)})
		raw, err := os.ReadFile(strings.TrimSuffix(path, ".graphql") + ".json")
		if err != nil {
			continue // it has no variables
		}
		var steps []struct {
			Operation string
			Variables any
		}
		require.NoError(t, json.Unmarshal(raw, &steps), path)
		for _, step := range steps {
			list = append(list, request{Query: string(text), OperationName: step.Operation, Variables: step.Variables})
		}
	}
	stocks := `query Q($ids: [ID!]!, $channel: ID, $all: Boolean = true) { stocks(productIds: $ids, channel: $channel) { productId @include(if: $all) } }`
	page := `query($first: Int, $order: ProductOrder!, $filter: ProductFilter) { products(first: $first, orderBy: $order, filter: $filter) { nodes { stock { levels { available } } } } }`
	type values = map[string]any
	for _, variables := range []any{
		nil, values{}, values{"ids": []any{"a", "b"}}, values{"ids": "a"}, values{"ids": 5}, values{"ids": nil}, values{"ids": []any{nil}},
		values{"ids": []any{}, "channel": nil, "all": false}, values{"ids": []any{1, "2"}, "other": 1, "all": true}, values{"ids": []any{1.5}},
		values{"ids": []any{"a"}, "all": nil}, values{"ids": []any{"a"}, "channel": "web", "all": "yes"},
	} {
		list = append(list, request{Query: stocks, Variables: variables}, request{Query: stocks, OperationName: "Q", Variables: variables})
	}
	for _, variables := range []any{
		nil, values{"first": 5, "order": "PRODUCT_ID"}, values{"order": "NONE"}, values{"order": "TITLE", "filter": values{"ids": "a", "status": []any{"IN_STOCK"}}},
		values{"order": "TITLE", "filter": values{"unknown": 1}}, values{"first": 1 << 40, "order": "TITLE"}, values{"first": 250, "order": "TITLE", "filter": nil},
	} {
		list = append(list, request{Query: page, Variables: variables})
	}
	several := `query A { serverTime } query B { locations { name } } mutation C($i: ReserveStockInput!) { reserveStock(input: $i) { replayed } }`
	for _, name := range []string{"A", "B", "C", "D", ""} {
		list = append(list, request{Query: several, OperationName: name, Variables: values{"i": values{"idempotencyKey": "k", "lines": []any{values{"productId": 1, "quantity": 2.0}}}}})
	}
	return append(list, request{}, request{Query: "{"}, request{Query: "{ nothing }"}, request{Query: "fragment F on Query { serverTime }"},
		request{Query: "{ serverTime }", Extensions: values{"persistedQuery": values{"version": 1, "sha256Hash": "x"}}},
		request{Extensions: values{"persistedQuery": values{"version": 1, "sha256Hash": persisted.Hash("{ unknown }")}}})
}

// TestAsGqlgen: an operation is prepared, or refused, as gqlgen does it, at the first use of its document and later. A
// low limit of complexity has every operation refused with its complexity, so that these are compared too.
func TestAsGqlgen(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{guard.ComplexityMax, 0} {
		reference, e := gqlgens(limit), ours(limit)
		for _, r := range sampleRequests(t) {
			want := prepare(t, gqlgens(limit), r)
			for use := range 4 {
				assert.Equal(t, want, prepare(t, e, r), "use %d of %+v", use, r)
			}
			assert.Equal(t, want, prepare(t, reference, r), "gqlgen's own second use")
		}
	}
}

// TestHash: a request with the hash alone is prepared as one with the document.
func TestHash(t *testing.T) {
	t.Parallel()
	e := ours(guard.ComplexityMax)
	const text = "query Q { serverTime }"
	both := request{Query: text, Extensions: map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": persisted.Hash(text)}}}
	operation, errs := e.CreateOperationContext(t.Context(), both.params(t))
	require.Empty(t, errs)
	e.DispatchOperation(t.Context(), operation)
	only := both
	only.Query = ""
	for range 2 {
		operation, errs = e.CreateOperationContext(t.Context(), only.params(t))
		require.Empty(t, errs)
		assert.Equal(t, text, operation.RawQuery)
		assert.NotNil(t, guard.DocumentOf(operation))
	}
}

// TestExtensionsSeeEveryOperation: an extension that is added runs for known documents too.
func TestExtensionsSeeEveryOperation(t *testing.T) {
	t.Parallel()
	e := ours(guard.ComplexityMax)
	counted := &counting{}
	e.Use(counted)
	for range 3 {
		_, errs := e.CreateOperationContext(t.Context(), &graphql.RawParams{Query: "query Counted { serverTime }"})
		require.Empty(t, errs)
	}
	assert.Equal(t, [2]int{3, 3}, [2]int{counted.parameters, counted.contexts})
}

// counting counts the operations that it sees.
type counting struct{ parameters, contexts int }

func (*counting) ExtensionName() string                   { return "counting" }
func (*counting) Validate(graphql.ExecutableSchema) error { return nil }

func (c *counting) MutateOperationParameters(_ context.Context, params *graphql.RawParams) *gqlerror.Error {
	if strings.Contains(params.Query, "Counted") {
		c.parameters++
	}
	return nil
}

func (c *counting) MutateOperationContext(_ context.Context, operation *graphql.OperationContext) *gqlerror.Error {
	if strings.Contains(operation.RawQuery, "Counted") {
		c.contexts++
	}
	return nil
}
