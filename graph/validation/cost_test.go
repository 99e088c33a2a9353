package validation_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"

	"onhand/graph/generated"
	"onhand/graph/validation"
)

// stockFields are fields of Stock without selections.
var stockFields = strings.Fields("id productId status availableForSale quantityAvailable onHand reserved committed incoming nextRestockAt version asOf source __typename")

// costly are documents at the limits, made to take as long as they can to validate.
func costly() map[string]string {
	scalars := strings.Join(stockFields, " ")
	var fragments, spreads strings.Builder
	for i := range 200 {
		fmt.Fprintf(&spreads, "...F%d ", i)
		fmt.Fprintf(&fragments, "fragment F%d on Stock { %s %s %s } ", i, stockFields[i%14], stockFields[(i+1)%14], stockFields[(i+2)%14])
	}
	few := func(n int, body func(i int) string) (text string) {
		for i := range n {
			text += body(i)
		}
		return text
	}
	return map[string]string{
		"one object, merged 50 times":  "{" + strings.Repeat(`stock(productId:"a"){`+scalars+`}`, 50) + "}",
		"deep inline fragments":        `{stock(productId:"a"){` + strings.Repeat("...{", 18) + strings.Repeat(scalars+" ", 50) + strings.Repeat("}", 18) + "}}",
		"inline fragments around each": `{stock(productId:"a"){` + few(18, func(int) string { return "...{" + scalars + " " }) + strings.Repeat("}", 18) + "}}",
		"many fragments":               `{stock(productId:"a"){` + spreads.String() + `}}` + fragments.String(),
		"fragments, merged": `{` + strings.Repeat(`stock(productId:"a"){...A ...B ...C ...D}`, 3) + `}` + few(4, func(i int) string {
			return "fragment " + string(rune('A'+i)) + " on Stock {" + few(12, func(int) string { return scalars + " " }) + "}"
		}),
		"a chain of fragments": `{stock(productId:"a"){...F0}}` + few(98, func(i int) string {
			return fmt.Sprintf("fragment F%d on Stock {%s %s %s ...F%d} ", i, stockFields[i%14], stockFields[(i+5)%14], stockFields[(i+9)%14], i+1)
		}) + "fragment F98 on Stock{id}",
		"pairs of pairs": "{" + strings.Repeat(`stock(productId:"a"){product{stock{product{stock{product{stock{`+strings.Join(stockFields[:10], " ")+`}}}}}}}`, 50) + "}",
		"conflicts":      "{" + few(50, func(i int) string { return fmt.Sprintf(`stock(productId:"%d"){`, i) + scalars + "}" }) + "}",
		"conflicts below": "{" + few(50, func(i int) string {
			return `stock(productId:"a"){ x:` + stockFields[i%13] + " y:" + stockFields[(i+1)%13] + " " + scalars + "}"
		}) + "}",
		"long arguments":      "{" + strings.Repeat(`stocks(productIds:[`+strings.Repeat(`"a" `, 48)+`]){id}`, 50) + "}",
		"many variables":      "query(" + few(500, func(i int) string { return fmt.Sprintf("$v%d:ID ", i) }) + "){" + few(50, func(i int) string { return fmt.Sprintf("stock(productId:$v%d){id} ", i) }) + "}",
		"unknown fields":      `{stock(productId:"a"){` + few(990, func(i int) string { return fmt.Sprintf("f%d ", i) }) + "}}",
		"long unknown fields": `{stock(productId:"a"){` + few(60, func(i int) string { return fmt.Sprintf("f%d", i) + strings.Repeat("x", 1000) + " " }) + "}}",
		"unknown directives":  `{stock(productId:"a"){` + few(50, func(i int) string { return fmt.Sprintf("id@d%d @e @f @g ", i) }) + "}}",
		"a gateway's document": "query(" + few(100, func(i int) string { return fmt.Sprintf("$i%d:ID! ", i) }) + "){" + few(100, func(i int) string {
			return fmt.Sprintf("a%d:stock(productId:$i%d){id status quantityAvailable version} ", i, i)
		}) + "}",
		"everything of 69 stocks": "{" + few(69, func(i int) string {
			return fmt.Sprintf(`a%d:stock(productId:"%d"){`, i, i) + strings.Join(stockFields[:13], " ") + "}"
		}) + "}",
		"50 times every field, written": `{stock(productId:"a"){` + strings.Repeat(scalars+" ", 50) + "}}",
	}
}

// fastest is the shortest of several runs.
func fastest(runs int, run func()) time.Duration {
	shortest := time.Hour
	for range runs {
		began := time.Now()
		run()
		shortest = min(shortest, time.Since(began))
	}
	return shortest
}

// TestValidationIsFast: no document within the limits takes many times as long as a
// gateway's document, which is half as large. With pairs of fields compared it takes a
// hundred times as long.
func TestValidationIsFast(t *testing.T) {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	documents := costly()
	took := func(name string) time.Duration {
		return fastest(10, func() {
			document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: documents[name]}, 3_000)
			require.NoError(t, err, name)
			require.Empty(t, validation.SizeOf(document).Check(), name)
			require.LessOrEqual(t, len(validation.Validate(schema, document, documents[name], true)), validation.ErrorsMax)
		})
	}
	usual := took("a gateway's document")
	for name := range documents {
		assert.Less(t, took(name), 20*usual, name)
	}
}

// BenchmarkDocuments measures documents at the limits: parse, measure, validate.
func BenchmarkDocuments(b *testing.B) {
	schema := generated.NewExecutableSchema(generated.Config{}).Schema()
	for name, text := range costly() {
		document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, 3_000)
		require.NoError(b, err, name)
		size := validation.SizeOf(document)
		b.Run(strings.ReplaceAll(name, " ", "_"), func(b *testing.B) {
			if problem := size.Check(); problem != "" {
				b.Skip(problem)
			}
			var errs int
			b.ReportMetric(float64(size.Written), "selections")
			for b.Loop() {
				document, _ := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, 3_000)
				_ = validation.SizeOf(document)
				errs = len(validation.Validate(schema, document, text, true))
			}
			b.ReportMetric(float64(errs), "errors")
			b.ReportMetric(float64(size.Written), "selections")
		})
	}
}
