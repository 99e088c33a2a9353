package coercion

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

var schema = gqlparser.MustLoadSchema(&ast.Source{Input: `
	scalar BigInt
	scalar Time
	scalar Other
	enum Colour { RED GREEN }
	input Item { id: ID! count: Int! = 1 at: Time }
	input Cart { items: [Item!]! colour: Colour note: String matrix: [[Int]] }
	type Query {
		int(v: Int): Int float(v: Float): Int string(v: String): Int boolean(v: Boolean): Int id(v: ID): Int
		bigint(v: BigInt): Int time(v: Time): Int colour(v: Colour): Int other(v: Other): Int
		ints(v: [Int!]): Int cart(v: Cart): Int required(v: Int!): Int
	}
`})

// asVariable coerces JSON that a client sends as a variable of a type.
func asVariable(t *testing.T, kind, text string) (any, *gqlerror.Error) {
	t.Helper()
	document, err := gqlparser.LoadQueryWithRules(schema, fmt.Sprintf(`query($v: %s) { %s(v: $v) }`, kind, fieldOf(kind)), Rules())
	require.Empty(t, err)
	decoder := json.NewDecoder(bytes.NewReader([]byte(`{"v": ` + text + `}`)))
	decoder.UseNumber()
	var values map[string]any
	require.NoError(t, decoder.Decode(&values), text)
	problem := coerceVariables(schema, document.Operations[0], values, false)
	return values["v"], problem
}

// asLiteral checks a literal of a type.
func asLiteral(kind, text string) gqlerror.List {
	_, err := gqlparser.LoadQueryWithRules(schema, fmt.Sprintf(`{ %s(v: %s) }`, fieldOf(kind), text), Rules())
	return err
}

func fieldOf(kind string) string {
	switch kind {
	case "[Int!]":
		return "ints"
	case "Int!":
		return "required"
	}
	return strings.ToLower(kind)
}

// no is a value that is refused.
var no = &struct{}{}

// scalars has what a value of each kind becomes: as a variable in JSON, and as a
// literal. The columns are in the order of kinds.
var kinds = []string{"Int", "Float", "String", "Boolean", "ID", "BigInt", "Time", "Colour"}

var variables = []struct {
	json string
	want []any
}{
	//                         Int       Float      String  Boolean ID       BigInt    Time Colour
	{`5`, []any{int64(5), 5.0, no, no, "5", int64(5), no, no}},
	{`5.0`, []any{int64(5), 5.0, no, no, "5", int64(5), no, no}},
	{`5e0`, []any{int64(5), 5.0, no, no, "5", int64(5), no, no}},
	{`1e3`, []any{int64(1000), 1000.0, no, no, "1000", int64(1000), no, no}},
	{`50E-1`, []any{int64(5), 5.0, no, no, "5", int64(5), no, no}},
	{`0`, []any{int64(0), 0.0, no, no, "0", int64(0), no, no}},
	{`-0`, []any{int64(0), math.Copysign(0, -1), no, no, "0", int64(0), no, no}},
	{`-0.0`, []any{int64(0), math.Copysign(0, -1), no, no, "0", int64(0), no, no}},
	{`-7`, []any{int64(-7), -7.0, no, no, "-7", int64(-7), no, no}},
	{`5.5`, []any{no, 5.5, no, no, no, no, no, no}},
	{`1e-1`, []any{no, 0.1, no, no, no, no, no, no}},
	{`2147483647`, []any{int64(math.MaxInt32), 2147483647.0, no, no, "2147483647", int64(math.MaxInt32), no, no}},
	{`-2147483648`, []any{int64(math.MinInt32), -2147483648.0, no, no, "-2147483648", int64(math.MinInt32), no, no}},
	{`2147483648`, []any{no, 2147483648.0, no, no, "2147483648", int64(math.MaxInt32 + 1), no, no}},
	{`2147483648.0`, []any{no, 2147483648.0, no, no, "2147483648", int64(math.MaxInt32 + 1), no, no}},
	{`-2147483649`, []any{no, -2147483649.0, no, no, "-2147483649", int64(math.MinInt32 - 1), no, no}},
	{`9007199254740991`, []any{no, 9007199254740991.0, no, no, "9007199254740991", int64(1<<53 - 1), no, no}},
	{`9007199254740992`, []any{no, 9007199254740992.0, no, no, "9007199254740992", no, no, no}},
	{`-9007199254740992`, []any{no, -9007199254740992.0, no, no, "-9007199254740992", no, no, no}},
	{`9007199254740992.0`, []any{no, 9007199254740992.0, no, no, no, no, no, no}},
	{`123456789012345678901234567890`, []any{no, 123456789012345678901234567890.0, no, no, "123456789012345678901234567890", no, no, no}},
	{`1e400`, []any{no, no, no, no, no, no, no, no}},
	{`1e999999999`, []any{no, no, no, no, no, no, no, no}},
	{`"5"`, []any{no, no, "5", no, "5", no, no, no}},
	{`"5.0"`, []any{no, no, "5.0", no, "5.0", no, no, no}},
	{`""`, []any{no, no, "", no, "", no, no, no}},
	{`"true"`, []any{no, no, "true", no, "true", no, no, no}},
	{`"RED"`, []any{no, no, "RED", no, "RED", no, no, "RED"}},
	{`"red"`, []any{no, no, "red", no, "red", no, no, no}},
	{`"2026-03-01T12:00:00Z"`, []any{no, no, "2026-03-01T12:00:00Z", no, "2026-03-01T12:00:00Z", no, "2026-03-01T12:00:00Z", no}},
	{`"2026-03-01"`, []any{no, no, "2026-03-01", no, "2026-03-01", no, no, no}},
	{`1767225600`, []any{int64(1767225600), 1767225600.0, no, no, "1767225600", int64(1767225600), no, no}},
	{`true`, []any{no, no, no, true, no, no, no, no}},
	{`false`, []any{no, no, no, false, no, no, no, no}},
	{`null`, []any{nil, nil, nil, nil, nil, nil, nil, nil}},
	{`[5]`, []any{no, no, no, no, no, no, no, no}},
	{`["5"]`, []any{no, no, no, no, no, no, no, no}},
	{`[]`, []any{no, no, no, no, no, no, no, no}},
	{`{}`, []any{no, no, no, no, no, no, no, no}},
	{`{"a": 5}`, []any{no, no, no, no, no, no, no, no}},
}

// TestVariables: every scalar, and an enum, against every kind of JSON value.
func TestVariables(t *testing.T) {
	t.Parallel()
	for _, test := range variables {
		require.Len(t, test.want, len(kinds), test.json)
		for i, kind := range kinds {
			got, problem := asVariable(t, kind, test.json)
			if test.want[i] == no {
				if assert.NotNil(t, problem, "%s as %s is %v", test.json, kind, got) {
					assert.Equal(t, "BAD_USER_INPUT", problem.Extensions["code"])
					assert.Contains(t, problem.Message, "variable $v: want "+kind+", ")
					assert.Equal(t, ast.Path{ast.PathName("variable"), ast.PathName("v")}, problem.Path)
				}
				continue
			}
			assert.Nil(t, problem, "%s as %s", test.json, kind)
			assert.Equal(t, test.want[i], got, "%s as %s", test.json, kind)
		}
	}
}

// TestLiterals: every scalar, and an enum, against every kind of literal.
func TestLiterals(t *testing.T) {
	t.Parallel()
	for literal, accepting := range map[string]string{
		`5`: "Int Float ID BigInt", `-7`: "Int Float ID BigInt", `0`: "Int Float ID BigInt",
		`5.0`: "Float", `5.5`: "Float", `5e0`: "Float", `1e3`: "Float", `1e999`: "",
		`2147483647`: "Int Float ID BigInt", `2147483648`: "Float ID BigInt", `-2147483649`: "Float ID BigInt",
		`9007199254740991`: "Float ID BigInt", `9007199254740992`: "Float ID", `99999999999999999999`: "Float",
		`"5"`: "String ID", `""`: "String ID", `"RED"`: "String ID", `"""block"""`: "String ID",
		`"2026-03-01T12:00:00Z"`: "String ID Time", `"yesterday"`: "String ID",
		`true`: "Boolean", `false`: "Boolean",
		`null`: strings.Join(kinds, " "),
		`RED`:  "Colour", `BLUE`: "",
		`[5]`: "", `[]`: "", `{}`: "", `{a: 5}`: "",
	} {
		for _, kind := range kinds {
			errs := asLiteral(kind, literal)
			if strings.Contains(" "+accepting+" ", " "+kind+" ") {
				assert.Empty(t, errs, "%s as %s", literal, kind)
				continue
			}
			if assert.Len(t, errs, 1, "%s as %s", literal, kind) {
				assert.Equal(t, RuleName, errs[0].Rule)
				assert.Contains(t, errs[0].Message, "argument v: want "+kind+", ")
				assert.NotEmpty(t, errs[0].Locations)
			}
		}
	}
}

// TestMessages: the message names the variable or argument, the path in it, the type and
// what was sent.
func TestMessages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kind, json, message string }{
		{"Int", `"5"`, `variable $v: want Int, a whole number of 32 bits; got the text "5"`},
		{"Int", `5.5`, `variable $v: want Int, a whole number of 32 bits; got the number 5.5`},
		{"Int!", `null`, `variable $v: want Int!; got null`},
		{"[Int!]", `[1, 2, null]`, `variable $v at v[2]: want Int!; got null`},
		{"[Int!]", `[1, [2]]`, `variable $v at v[1]: want Int, a whole number of 32 bits; got a list`},
		{"String", `5`, `variable $v: want String, a text in quotes; got the number 5`},
		{"Boolean", `"true"`, `variable $v: want Boolean, true or false; got the text "true"`},
		{"ID", `true`, `variable $v: want ID, a text in quotes or a whole number; got true`},
		{"BigInt", `{"a": 1}`, `variable $v: want BigInt, a whole number below 2^53; got an object`},
		{"Time", `"a\"b"`, `variable $v: want Time, a text in quotes as RFC 3339 has it, such as "2026-03-01T12:00:00Z"; got the text "a\"b"`},
		{"Colour", `"BLUE"`, `variable $v: want Colour, one of RED, GREEN; got the text "BLUE"`},
		{"Cart", `[]`, `variable $v: want Cart, an object; got a list`},
		{"Cart", `{"items": [{"id": 1}, {"id": 2.5}]}`, `variable $v at v.items[1].id: want ID, a text in quotes or a whole number; got the number 2.5`},
		{"Cart", `{"items": [{"count": 1}]}`, `variable $v at v.items[0].id: ID! is required, and was left out`},
		{"Cart", `{"items": {"id": 1, "count": null}}`, `variable $v at v.items.count: want Int!; got null`},
		{"Cart", `{"items": [], "z": 1, "extra": "x"}`, `variable $v at v.extra: Cart has no such field; got the text "x"`},
		{"Cart", `{"items": [], "matrix": [[1], [2, "3"]]}`, `variable $v at v.matrix[1][1]: want Int, a whole number of 32 bits; got the text "3"`},
		{"Int", `"` + strings.Repeat("é", 100) + `"`, `variable $v: want Int, a whole number of 32 bits; got the text "` + strings.Repeat("é", 40) + `…"`},
		{"Int", `0.` + strings.Repeat("1", 100), `variable $v: want Int, a whole number of 32 bits; got the number 0.` + strings.Repeat("1", 38) + `…`},
	} {
		_, problem := asVariable(t, test.kind, test.json)
		if assert.NotNil(t, problem, test.json) {
			assert.Equal(t, test.message, problem.Message)
		}
	}
	for document, message := range map[string]string{
		`{ int(v: "5") }`:                               `argument v: want Int, a whole number of 32 bits; got the text "5"`,
		`{ int(v: 5.0) }`:                               `argument v: want Int, a whole number of 32 bits; got the number 5.0`,
		`{ colour(v: BLUE) }`:                           `argument v: want Colour, one of RED, GREEN; got the name BLUE`,
		`{ colour(v: "RED") }`:                          `argument v: want Colour, one of RED, GREEN; got the text "RED"`,
		`{ required(v: null) }`:                         `argument v: want Int!; got null`,
		`{ cart(v: {items: [{id: 1}, {id: true}]}) }`:   `argument v at v.items[1].id: want ID, a text in quotes or a whole number; got true`,
		`{ cart(v: {items: [{}]}) }`:                    `argument v at v.items[0].id: ID! is required, and was left out`,
		`{ cart(v: {items: [], colours: RED}) }`:        `argument v at v.colours: Cart has no such field; got the name RED`,
		`query($n: Int = "5") { int(v: $n) }`:           `default of variable $n: want Int, a whole number of 32 bits; got the text "5"`,
		`{ int @include(if: "yes") }`:                   `argument if: want Boolean, true or false; got the text "yes"`,
		`{ ...F ...F } fragment F on Query {int(v:"")}`: `argument v: want Int, a whole number of 32 bits; got the text ""`,
	} {
		_, errs := gqlparser.LoadQueryWithRules(schema, document, Rules())
		if assert.Len(t, errs, 1, document) {
			assert.Equal(t, message, errs[0].Message)
		}
	}
}

// TestObjectsAndLists: input objects keep the fields that were sent, lists of one need
// no brackets, and variables may stand in literals.
func TestObjectsAndLists(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind, json string
		want       any
	}{
		{"[Int!]", `5`, []any{int64(5)}},
		{"[Int!]", `[5.0, 6]`, []any{int64(5), int64(6)}},
		{"[Int!]", `[]`, []any{}},
		{"Cart", `{"items": []}`, map[string]any{"items": []any{}}},
		{"Cart", `{"items": [], "note": null, "__typename": "Cart"}`, map[string]any{"items": []any{}, "note": nil, "__typename": "Cart"}},
		{"Cart", `{"items": {"id": 7}, "matrix": 1}`, map[string]any{"items": []any{map[string]any{"id": "7"}}, "matrix": []any{[]any{int64(1)}}}},
		{"Other", `{"a": [1.5]}`, map[string]any{"a": []any{json.Number("1.5")}}},
	} {
		got, problem := asVariable(t, test.kind, test.json)
		require.Nil(t, problem, test.json)
		assert.Equal(t, test.want, got, test.json)
	}
	_, errs := gqlparser.LoadQueryWithRules(schema, `query($i: ID!, $l: [Item!]!, $n: Int = 3) {
		cart(v: {items: [{id: $i, count: 2}], colour: RED, matrix: 5}) two: cart(v: {items: $l}) ints(v: 5) int(v: $n) other(v: {any: [1.5]}) }`, Rules())
	assert.Empty(t, errs)
	operation := &ast.OperationDefinition{VariableDefinitions: ast.VariableDefinitionList{
		{Variable: "unknown", Type: ast.NonNullNamedType("Nothing", nil)}, {Variable: "needed", Type: ast.NonNullNamedType("Int", nil)},
	}}
	problem := coerceVariables(schema, operation, map[string]any{"unknown": 1, "undeclared": no}, false)
	require.NotNil(t, problem)
	assert.Equal(t, `variable $needed: Int! is required, and was left out`, problem.Message)
}
