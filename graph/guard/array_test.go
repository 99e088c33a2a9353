package guard_test

import (
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/graph/guard"
)

// TestArray: the documents of an array, known ones too, are bounded together by each
// limit, and the first excess is reported.
func TestArray(t *testing.T) {
	t.Parallel()
	wide := "{ " + fields(300) + "}"
	schema := "{ __schema { " + fields(240) + "} }"
	for name, test := range map[string]struct {
		document string
		fit      int // so many documents are within the limits, one more is not
		excess   string
	}{
		"written":       {wide, 3, "the requests of one array have together at most 1000 selections"},
		"in fragments":  {"{ ...A ...A } fragment A on Query { " + fields(140) + "}", 7, "the requests of one array have together at most 1000 selections"},
		"introspecting": {schema, 2, "the requests of one array have together at most 500 selections once fragments are in place, in documents that ask for the schema"},
		"expanded":      {"{ ...A ...A ...A ...A ...A ...A ...A ...A ...A ...A } fragment A on Query { " + fields(60) + "}", 6, "the requests of one array have together at most 4000 selections once fragments are in place"},
	} {
		documents := guard.NewDocuments()
		parsed, err := parser.ParseQuery(&ast.Source{Input: test.document})
		require.NoError(t, err)
		if name == "in fragments" {
			documents.Add(t.Context(), test.document, parsed)
		}
		var array guard.Array
		ctx := array.With(t.Context())
		for i := range test.fit + 2 {
			ctx := graphql.WithOperationContext(ctx, &graphql.OperationContext{})
			err := documents.MutateOperationParameters(ctx, &graphql.RawParams{Query: test.document})
			assert.Equal(t, i >= test.fit, err != nil, "%s %d", name, i)
			assert.Equal(t, i >= test.fit, array.Excess() != "", "%s %d", name, i)
		}
		assert.Equal(t, test.excess, array.Excess(), name)
	}

	var array guard.Array
	array.AddCost(guard.Cost{Complexity: guard.ComplexityMax, Keys: guard.KeysMax})
	assert.Empty(t, array.Excess())
	array.AddCost(guard.Cost{Complexity: 1})
	assert.Equal(t, "the requests of one array have together at most a complexity of 30000", array.Excess())
}
