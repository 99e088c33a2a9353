package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"onhand/graph/generated"
)

// TestDocumentsFitTheSchema validates the program's documents against the schema that the server serves.
func TestDocumentsFitTheSchema(t *testing.T) {
	t.Parallel()
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for _, document := range []string{reserveDocument, commitDocument, adjustDocument, productsDocument, stocksDocument} {
		_, errs := gqlparser.LoadQueryWithRules(schema, document, rules.NewDefaultRules())
		require.Empty(t, errs, document)
	}
}
