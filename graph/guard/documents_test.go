package guard_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
)

// TestDocumentSize: selections count wherever they are written, and a second limit
// counts them with every fragment expanded.
func TestDocumentSize(t *testing.T) {
	t.Parallel()
	introspection, err := os.ReadFile("testdata/graphiql.graphql")
	require.NoError(t, err)
	limit := guard.SelectionsMax
	for name, test := range map[string]struct{ document, problem, operation string }{
		"GraphiQL's introspection":  {string(introspection), "", ""},
		"at the limit":              {"{" + strings.Repeat("a ", limit) + "}", "", ""},
		"one above the limit":       {"{" + strings.Repeat("a ", limit+1) + "}", "at most 400 selections, not 401", ""},
		"nested":                    {strings.Repeat("{a ", limit+1) + strings.Repeat("}", limit+1), "not 401", ""},
		"inline fragments":          {strings.Repeat("{...", limit) + "{a}" + strings.Repeat("}", limit), "not 401", ""},
		"spreads":                   {"{" + strings.Repeat("...F ", limit) + "} fragment F on T { a }", "not 401", ""},
		"several operations":        {"query A {" + strings.Repeat("a ", limit) + "} query B { a }", "not 401", "A"},
		"an unused fragment":        {"{a} fragment F on T {" + strings.Repeat("a ", limit) + "}", "not 401", ""},
		"fragments that double":     {"{...F0} " + doubling(50), "4000 selections once its fragments are in place", ""},
		"a fragment spread often":   {"{" + strings.Repeat("...F ", 200) + "} fragment F on T {" + strings.Repeat("a ", 100) + "}", "4000 selections once", ""},
		"introspection, often":      {"{__schema{types{" + strings.Repeat("...F ", 6) + "}}} fragment F on __Type {" + strings.Repeat("a ", 100) + "}", "asks for the schema has at most 500", ""},
		"__type, in a fragment":     {"{...Q} fragment Q on Query {... {x: __type(name: 1) {" + strings.Repeat("...F ", 6) + "}}} fragment F on __Type {" + strings.Repeat("a ", 100) + "}", "asks for the schema has at most 500", ""},
		"as many, no introspection": {"{a{" + strings.Repeat("...F ", 6) + "}} fragment F on T {" + strings.Repeat("a ", 100) + "}", "", ""},
		"a recursive fragment":      {"{...F} fragment F on T { a ...F ...G } fragment G on T { ...F }", "", ""},
		"an unknown fragment":       {"{...F}", "", ""},
		"no document":               {"{", "", ""},
		"nothing":                   {"", "", ""},
		"one of several":            {"query A { a } query B { b }", "", "B"},
		"none of several":           {"query A { a } query B { b }", "has 2 operations: say in operationName", ""},
		"an unknown operation":      {"query A { a }", `has no operation "B"`, "B"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := graphql.WithOperationContext(t.Context(), &graphql.OperationContext{})
			problem := guard.NewDocuments().MutateOperationParameters(ctx, &graphql.RawParams{Query: test.document, OperationName: test.operation})
			if test.problem == "" {
				assert.Nil(t, problem)
				return
			}
			require.NotNil(t, problem)
			assert.Contains(t, problem.Message, test.problem)
			assert.Equal(t, "BAD_USER_INPUT", problem.Extensions["code"])
		})
	}
}

// doubling returns n fragments, each of which spreads the next one twice.
func doubling(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Product { stock { product { ...F%d } } b: stock { product { ...F%d } } } ", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Product { id }", n)
	return b.String()
}

// TestDocumentCache: a validated document is cached unless it is large.
func TestDocumentCache(t *testing.T) {
	t.Parallel()
	documents := guard.NewDocuments()
	small, large := strings.Repeat(" ", 16<<10), strings.Repeat(" ", 16<<10+1)
	parsed := &ast.QueryDocument{}
	documents.Add(t.Context(), small, parsed)
	documents.Add(t.Context(), large, parsed)
	got, ok := documents.Get(t.Context(), small)
	assert.True(t, ok)
	assert.Same(t, parsed, got)
	_, ok = documents.Get(t.Context(), large)
	assert.False(t, ok)
}

// TestDocumentOf: an operation has its document from its second use on, and what was
// made from the document is made once.
func TestDocumentOf(t *testing.T) {
	t.Parallel()
	documents := guard.NewDocuments()
	const text = "{ __typename }"
	use := func() (*guard.Document, *ast.QueryDocument) {
		operation := &graphql.OperationContext{}
		ctx := graphql.WithOperationContext(t.Context(), operation)
		require.Nil(t, documents.MutateOperationParameters(ctx, &graphql.RawParams{Query: text}))
		if _, known := documents.Get(ctx, text); !known {
			documents.Add(ctx, text, operation.Doc)
		}
		return guard.DocumentOf(operation), operation.Doc
	}
	first, parsed := use()
	assert.Nil(t, first)
	second, again := use()
	require.NotNil(t, second)
	assert.Same(t, parsed, again)
	assert.Same(t, parsed, second.Query)
	made := 0
	for range 2 {
		assert.Equal(t, 1, second.Compiled(func(document *ast.QueryDocument) any {
			assert.Same(t, parsed, document)
			made++
			return made
		}))
	}
	third, _ := use()
	assert.Same(t, second, third)
}
