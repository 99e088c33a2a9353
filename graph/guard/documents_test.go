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
	"onhand/graph/validation"
)

// fields returns n fields, each of another name.
func fields(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "f%d ", i)
	}
	return b.String()
}

// aliases returns n fields with an alias.
func aliases(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "x%d: a ", i)
	}
	return b.String()
}

// chain returns n fragments, each of which spreads the next one once.
func chain(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on T { a%d b%d ...F%d } ", i, i, i, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on T { c }", n)
	return b.String()
}

// TestDocumentSize: selections count wherever they are written, and a second limit
// counts them with every fragment expanded.
func TestDocumentSize(t *testing.T) {
	t.Parallel()
	introspection, err := os.ReadFile("testdata/graphiql.graphql")
	require.NoError(t, err)
	limit := validation.SelectionsMax
	for name, test := range map[string]struct {
		document, problem, operation string
		invalid                      bool
	}{
		"GraphiQL's introspection":  {string(introspection), "", "", false},
		"at the limit":              {"{" + fields(limit) + "}", "", "", false},
		"one above the limit":       {"{" + fields(limit+1) + "}", "at most 1000 selections, not 1001", "", false},
		"nested":                    {strings.Repeat("{a ", 990) + strings.Repeat("}", 990), "at most 20 levels deep", "", false},
		"at the depth":              {strings.Repeat("{a ", 20) + strings.Repeat("}", 20), "", "", false},
		"one level deeper":          {strings.Repeat("{a ", 21) + strings.Repeat("}", 21), "20 levels", "", false},
		"deep in fragments":         {strings.Repeat("{a ", 11) + "{...F}" + strings.Repeat("}", 11) + " fragment F on T " + strings.Repeat("{a ", 10) + strings.Repeat("}", 10), "20 levels", "", false},
		"inline fragments":          {strings.Repeat("{...", 20) + "{a}" + strings.Repeat("}", 20), "20 levels", "", false},
		"spreads":                   {"{" + strings.Repeat("...F ", limit) + "} fragment F on T { a }", "not 1001", "", false},
		"several operations":        {"query A {" + fields(limit) + "} query B { a }", "not 1001", "A", false},
		"an unused fragment":        {"{a} fragment F on T {" + fields(limit) + "}", "not 1001", "", false},
		"100 aliases":               {"{" + aliases(100) + "}", "", "", false},
		"101 aliases":               {"{" + aliases(50) + "...F} fragment F on T { x {" + aliases(51) + "}}", "at most 100 aliases, not 101", "", false},
		"50 times a name":           {"{" + strings.Repeat("a ", 50) + "}", "", "", false},
		"51 times a name":           {"{" + strings.Repeat("a ", 51) + "}", "at most 50 times in one object", "", false},
		"merged in the object":      {"{" + strings.Repeat("a {"+strings.Repeat("b ", 10)+"} ", 6) + "}", "at most 50 times", "", false},
		"merged from fragments":     {"{...F ...F ... {" + strings.Repeat("a ", 25) + "} } fragment F on T {" + strings.Repeat("a ", 26) + "}", "at most 50 times", "", false},
		"a fragment counts once":    {"{" + strings.Repeat("...F ", 100) + "} fragment F on T { a }", "", "", false},
		"not merged":                {"{" + "a {" + strings.Repeat("b ", 50) + "} c {" + strings.Repeat("b ", 50) + "}}", "", "", false},
		"in an unused fragment":     {"{a} fragment F on T {" + strings.Repeat("a ", 51) + "}", "at most 50 times", "", false},
		"4 directives of a field":   {"{a @x @x @x @x}", "", "", false},
		"5 directives of a field":   {"{a @x @x @x @x @x}", "at most 4 directives, not 5", "", false},
		"of a fragment, a variable": {"query($v: Int @x @x @x @x @x) {a}", "at most 4 directives", "", false},
		"200 directives":            {"{" + strings.Replace(fields(200), " ", " @x ", -1) + "}", "", "", false},
		"201 directives":            {"query @x {" + strings.Replace(fields(200), " ", " @x ", -1) + "}", "at most 200 directives, not 201", "", false},
		"a chain of fragments":      {"{...F0} " + chain(150), "together at most 20000 selections", "", false},
		"bytes at the limit":        {"{a}" + strings.Repeat(",", 64<<10-3), "", "", false},
		"one byte more":             {"{a}" + strings.Repeat(",", 64<<10-2), "at most 65536 bytes, not 65537", "", false},
		"fragments that double":     {"{...F0} " + doubling(50), "4000 selections once its fragments are in place", "", false},
		"a fragment spread often":   {"{" + strings.Repeat("...F ", 200) + "} fragment F on T {" + fields(100) + "}", "4000 selections once", "", false},
		"introspection, often":      {"{__schema{types{" + strings.Repeat("...F ", 6) + "}}} fragment F on __Type {" + fields(100) + "}", "asks for the schema has at most 500", "", false},
		"__type, in a fragment":     {"{...Q} fragment Q on Query {... {x: __type(name: 1) {" + strings.Repeat("...F ", 6) + "}}} fragment F on __Type {" + fields(100) + "}", "asks for the schema has at most 500", "", false},
		"as many, no introspection": {"{a{" + strings.Repeat("...F ", 6) + "}} fragment F on T {" + fields(100) + "}", "", "", false},
		"a recursive fragment":      {"{...F} fragment F on T { a ...F ...G } fragment G on T { ...F }", `Cannot spread fragment "F" within itself`, "", true},
		"one within its field":      {"{a} fragment F on T { a { ...G } } fragment G on T { b { ...F } }", "within itself", "", true},
		"two of one name":           {"{...F} fragment F on T { a } fragment F on T { b }", `only one fragment named "F"`, "", true},
		"an unknown fragment":       {"{...F}", "", "", false},
		"nothing":                   {"", "", "", false},
		"one of several":            {"query A { a } query B { b }", "", "B", false},
		"none of several":           {"query A { a } query B { b }", "has 2 operations: say in operationName", "", false},
		"an unknown operation":      {"query A { a }", `has no operation "B"`, "B", false},
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
			assert.Equal(t, test.invalid, problem.Extensions["code"] == "GRAPHQL_VALIDATION_FAILED")
			assert.Equal(t, test.invalid, problem.Extensions["code"] != "BAD_USER_INPUT")
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
