package validation

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"
)

// mergingSchema has fields of one name with other types, arguments and lists.
const mergingSchema = `
interface I { s: Int i: I l: [I] t: String }
type A implements I { s: Int i: I l: [I] t: String f(x: Int, y: [In]): Int g: String o: A u: U n: Int! }
type B implements I { s: Int i: I l: [I] t: String f(x: Int, y: [In]): Int! g: Int o: B u: U n: Int! }
union U = A | B
input In { p: Int q: Int }
type Query { i: I a: A b: B u: U s: Int l: [A!] }
`

// mergingGenerator makes documents of the schema. Few names make many of them overlap.
type mergingGenerator struct {
	*rand.Rand
	schema    *ast.Schema
	fragments int
}

func (g mergingGenerator) one(from ...string) string { return from[g.IntN(len(from))] }

// document has every fragment in its operation: validation refuses the others anyway.
func (g mergingGenerator) document() string {
	g.fragments = g.IntN(4)
	text := "{" + g.selections("Query", 3, 0)
	for i := range g.fragments {
		text += " ...F" + strconv.Itoa(i)
	}
	text += " }"
	for i := range g.fragments {
		of := g.one("A", "B", "I", "U", "Query")
		text += fmt.Sprintf(" fragment F%d on %s {%s }", i, of, g.selections(of, 2, i+1))
	}
	return text
}

// selections draws the selections of a type. They spread no fragment before from.
func (g mergingGenerator) selections(of string, depth, from int) (text string) {
	for range 1 + g.IntN(3) {
		text += " " + g.selection(of, depth, from)
	}
	return text
}

func (g mergingGenerator) selection(of string, depth, from int) string {
	switch kind := g.IntN(10); {
	case kind == 0 && from < g.fragments:
		return "...F" + strconv.Itoa(from+g.IntN(g.fragments-from))
	case kind <= 2 && depth > 0:
		on := g.one("A", "B", "I", "U", of)
		return "... on " + on + " {" + g.selections(on, depth-1, from) + " }"
	case kind == 3 || of == "U":
		return g.one("", "x: ") + "__typename"
	}
	fields := g.schema.Types[of].Fields
	field := fields[g.IntN(len(fields))]
	if strings.HasPrefix(field.Name, "__") {
		return "__typename"
	}
	text := g.one("", "", "x: ", "s: ") + field.Name
	if field.Name == "f" {
		text += g.one("", "(x: 1)", "(x: 2)", "(x: 1, y: [{p: 1, q: 2}])", "(y: [{q: 2, p: 1}], x: 1)", "(y: {p: 1})")
	}
	if below := field.Type.Name(); g.schema.Types[below].IsCompositeType() {
		if depth == 0 {
			return "__typename"
		}
		text += " {" + g.selections(below, depth-1, from) + " }"
	}
	return text
}

func conflicts(t testing.TB, schema *ast.Schema, text string, rule core.Rule) gqlerror.List {
	t.Helper()
	document, err := parser.ParseQuery(&ast.Source{Input: text})
	require.NoError(t, err, text)
	return validator.ValidateWithRules(schema, document, rules.NewRules(rule))
}

// TestOverlapping: the rule refuses what gqlparser's own one refuses, which compares all
// fields in pairs, and nothing else.
func TestOverlapping(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: mergingSchema})
	refused := 0
	const documents = 20_000
	for seed := range uint64(documents) {
		text := mergingGenerator{Rand: rand.New(rand.NewPCG(seed, 15)), schema: schema}.document()
		want := conflicts(t, schema, text, rules.OverlappingFieldsCanBeMergedRule)
		got := conflicts(t, schema, text, core.Rule{Name: overlappingRule, RuleFunc: overlapping})
		require.Equal(t, len(want) > 0, len(got) > 0, "%d: %s\ngqlparser: %v\nhere: %v", seed, text, want, got)
		if len(got) > 0 {
			refused++
		}
	}
	assert.Greater(t, refused, documents/10)
	assert.Less(t, refused, documents*9/10)
}

// TestOverlappingMessages: an error says which fields conflict, where, and why.
func TestOverlappingMessages(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: mergingSchema})
	for text, want := range map[string]string{
		"{ x: s x: a { s } }":                                 `input:1:8: Fields "x" conflict because "s" and "a" are different fields. Use different aliases on the fields to fetch both if this was intentional.`,
		"{ a { f(x: 1) } a { f(x: 2) } }":                     `input:1:21: Fields "f" conflict because they have differing arguments. Use different aliases on the fields to fetch both if this was intentional.`,
		"{ u { ... on A { g } ... on B { g } } }":             `input:1:33: Fields "g" conflict because they return conflicting types "String" and "Int". Use different aliases on the fields to fetch both if this was intentional.`,
		"{ u { ... on A { x: o { g } } ... on B {x: o {g}} }": `input:1:47: Fields "g" conflict because they return conflicting types "String" and "Int". Use different aliases on the fields to fetch both if this was intentional.`,
	} {
		errs := conflicts(t, schema, text+strings.Repeat(" }", strings.Count(text, "{")-strings.Count(text, "}")), core.Rule{Name: overlappingRule, RuleFunc: overlapping})
		if assert.Len(t, errs, 1, text) {
			assert.Equal(t, want, errs[0].Error(), text)
		}
	}
	many := "{"
	for i := range 40 {
		many += fmt.Sprintf(" a { x%d: s x%d: t }", i, i)
	}
	assert.Len(t, conflicts(t, schema, many+"}", core.Rule{Name: overlappingRule, RuleFunc: overlapping}), ErrorsMax)
}

// TestOverlappingIsBounded: where fields of many types have one response name, at every
// level, the rule ends at a bound.
func TestOverlappingIsBounded(t *testing.T) {
	t.Parallel()
	sdl, types := "type Query { i: I } interface I { i: I s: Int }", 30
	for i := range types {
		sdl += fmt.Sprintf(" type T%d implements I { i: I s: Int }", i)
	}
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: sdl})
	level := "s"
	for range 5 {
		text := ""
		for i := range types {
			text += fmt.Sprintf(" ... on T%d { i { s } }", i)
		}
		level = text + " i {" + level + "}"
	}
	document := "{ i {" + level + "} }"
	parsed, err := parser.ParseQuery(&ast.Source{Input: document})
	require.NoError(t, err)
	require.Empty(t, SizeOf(parsed).Check(), "it is within the limits")
	errs := conflicts(t, schema, document, core.Rule{Name: overlappingRule, RuleFunc: overlapping})
	require.Len(t, errs, 1)
	assert.Contains(t, errs[0].Message, "too many fields of several types")
}
