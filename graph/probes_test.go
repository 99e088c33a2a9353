package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/models"
)

// probe is a request that a scanner for weak GraphQL servers sends, or an attack on one.
type probe struct {
	method, target, body string // POST to /graphql by default
	header               http.Header
	status               int    // 0 for any; a document has its code
	code                 string // of the only error; empty for none
	contains, lacks      string
}

func (p probe) send(t *testing.T, api http.Handler) (status int, answer []byte) {
	t.Helper()
	method, target := p.method, p.target
	if method == "" {
		method = http.MethodPost
	}
	if target == "" {
		target = "/graphql"
	}
	r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(p.body))
	r.Header.Set("Content-Type", "application/json")
	for name, values := range p.header {
		r.Header[name] = values
	}
	return serve(t, api, r)
}

// asked is the body of a request for a document.
func asked(document string) string {
	raw, _ := json.Marshal(request{Query: document}) // a text; cannot fail
	return string(raw)
}

// repeated is n texts, each with its number in place of #.
func repeated(n int, text string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(i)))
	}
	return b.String()
}

const bad, invalid = string(models.CodeBadUserInput), "GRAPHQL_VALIDATION_FAILED"

// copProbes are the probes of graphql-cop (version 1.15), in its order.
func copProbes() map[string]probe {
	return map[string]probe{
		"Alias Overloading":            {body: asked("query cop { " + repeated(101, "alias#: __typename ") + "}"), code: bad, contains: "at most 100 aliases, not 101"},
		"Array-based Query Batching":   {body: "[" + strings.Repeat(asked("query cop { __typename }")+",", 9) + asked("query cop { __typename }") + "]", status: 200, contains: "__typename"}, // bounded together, by guard.Array
		"more than an array may have":  {body: "[" + strings.Repeat(asked("query cop { __typename }")+",", 20) + asked("query cop { __typename }") + "]", status: 400, code: bad, contains: "at most 20"},
		"Directive Overloading":        {body: asked("query cop { __typename @aa@aa@aa@aa@aa@aa@aa@aa@aa@aa }"), code: bad, contains: "at most 4 directives"},
		"Introspection-based Circular": {body: asked("query cop { __schema { types { fields { type { fields { type { fields { type { fields { type { name } } } } } } } } } } }"), code: invalid, contains: "introspection depth"},
		"Field Duplication":            {body: asked("query cop { " + strings.Repeat("__typename ", 500) + "}"), code: bad, contains: "at most 50 times"},
		"Field Suggestions":            {body: asked("query cop { __schema { directive } }"), lacks: "Did you mean"},
		"GET Method Query Support":     {method: "GET", target: "/graphql?query=" + url.QueryEscape("query cop { __typename }"), status: 200, contains: `"Query"`}, // queries only
		"Mutation is allowed over GET": {method: "GET", target: "/graphql?query=" + url.QueryEscape("mutation cop { __typename }"), status: 405, code: bad},
		"POST based url-encoded query": {body: "query=" + url.QueryEscape("query cop { __typename }"), header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, status: 415, code: bad},
		"GraphQL IDE":                  {method: "GET", header: http.Header{"Accept": {"text/html"}}, lacks: "<html"},
		"Introspection":                {body: asked("query cop { __schema { types { name fields { name } } } }"), code: string(models.CodeUnauthenticated), lacks: `"data"`},
		"Trace Mode":                   {body: asked("query cop { __typename }"), contains: `"data"`, lacks: "tracing"},
		"Unhandled Errors":             {body: asked("qwerty cop { abc }"), code: "GRAPHQL_PARSE_FAILED", lacks: "exception"},
	}
}

// otherProbes are attacks that graphql-cop does not try.
func otherProbes() map[string]probe {
	levels := func(n int, open, in string) string { return strings.Repeat(open, n) + in + strings.Repeat("}", n) }
	return map[string]probe{
		"aliases in fragments":      {body: asked("{ ...A ...B } fragment A on Query { " + repeated(60, "a#: __typename ") + "} fragment B on Query { " + repeated(60, "b#: __typename ") + "}"), code: bad, contains: "100 aliases"},
		"fragments that double":     {body: asked(doubling(30)), code: bad, contains: "once its fragments are in place"},
		"a fragment in itself":      {body: asked("{ ...A } fragment A on Query { ...A }"), code: invalid, contains: "within itself"},
		"deep objects":              {body: asked(levels(10, `{ stock(productId: "a") { product `, "{ id }") + strings.Repeat("}", 10)), code: bad, contains: "20 levels"},
		"deep inline fragments":     {body: asked(levels(300, "{ ... ", "{ __typename }")), code: bad, contains: "20 levels"},
		"repeats of an object":      {body: asked("{ " + strings.Repeat(`stock(productId: "a") { id } `, 60) + "}"), code: bad, contains: "50 times"},
		"repeats in merged objects": {body: asked("{ " + strings.Repeat(`stock(productId: "a") { id id id } `, 20) + "}"), code: bad, contains: "50 times"},
		"many selections":           {body: asked(unknownFields(1_001)), code: bad, contains: "1000 selections"},
		"many tokens":               {body: asked("{ stocks(productIds: [" + strings.Repeat("1 ", 3_000) + "]) { id } }"), code: "GRAPHQL_PARSE_FAILED", contains: "token limit"},
		"many bytes":                {body: asked("{ __typename }" + strings.Repeat("#", 100_000)), code: bad, contains: "at most 65536 bytes"},
		"many operations":           {body: asked(repeated(400, "query q# { __typename } ")), code: bad, contains: "say in operationName"},
		"many directives":           {body: asked("{ " + repeated(90, `a#: __typename @skip(if: false) @include(if: true) @skip(if: false) `) + "}"), code: bad, contains: "200 directives"},
		"long names":                {body: asked("{ " + strings.Repeat("x", 50_000) + " }"), code: invalid, contains: "…"},
		"251 ids":                   {body: asked(`{ stocks(productIds: [` + strings.Repeat(`"a" `, 251) + `]) { id } }`), code: bad, contains: "at most 250 product ids"},
		"ids in many fields":        {body: `{"query": ` + quoted("query($i: [ID!]!) { "+repeated(21, "a#: stocks(productIds: $i) { id } ")+"}") + `, "variables": {"i": [` + strings.Repeat(`"a",`, 249) + `"a"]}}`, code: bad, contains: "at most 5000 ids, lines and rows"},
		"a page of lists":           {body: asked("{ products(first: 250) { nodes { stock { levels { " + repeated(30, "a#: available ") + "} } } } }"), code: bad, contains: "complexity"},
		"a broken literal":          {body: asked("{ stock(productId: \"\\u{110000}\") { id } }"), code: "GRAPHQL_PARSE_FAILED"},
		"a null byte":               {body: asked("{ \x00 }"), code: "GRAPHQL_PARSE_FAILED"},
		"conflicting fields":        {body: asked("{ a: locations { id } a: channels { id } }"), code: invalid, contains: "different fields"},
	}
}

// TestProbes: what each probe gets from a server in production. Nothing of a refused
// document is executed.
func TestProbes(t *testing.T) {
	t.Parallel()
	f := &fakeStore{stocks: func(ids []string) ([]*models.Stock, error) {
		assert.LessOrEqual(t, len(ids), guard.KeysMax)
		return known(ids)
	}}
	api := as(productionAPI(f, nil), "")
	for _, list := range []map[string]probe{copProbes(), otherProbes()} {
		for name, p := range list {
			for range 2 {
				status, answer := p.send(t, api)
				if p.status != 0 {
					assert.Equal(t, p.status, status, "%s: %s", name, answer)
				}
				assert.Contains(t, string(answer), p.contains, name)
				if p.lacks != "" {
					assert.NotContains(t, string(answer), p.lacks, name)
				}
				if p.code == "" {
					continue
				}
				var r reply
				require.NoError(t, json.Unmarshal(answer, &r), "%s: %s", name, answer)
				require.Len(t, r.Errors, 1, "%s: %s", name, answer)
				assert.Equal(t, p.code, r.Errors[0].Extensions["code"], name)
				assert.LessOrEqual(t, len(answer), 2_000, name)
			}
		}
	}
}

// TestListsAreBoundedBeforeExecution: an operation with too many lines or rows together
// is refused, and nothing is written.
func TestListsAreBoundedBeforeExecution(t *testing.T) {
	t.Parallel()
	f := &fakeStore{write: func(models.Write) (models.WriteResult, error) {
		assert.Fail(t, "executed")
		return models.WriteResult{}, nil
	}}
	api := guard.Local(apiOver(f))
	for _, write := range []string{
		`mutation($l: [ReservationLineInput!]!) { reserveStock(input: {idempotencyKey: "k", lines: $l}) { replayed } }`,
		`mutation($l: [ReservationLineInput!]!) { a: reserveStock(input: {idempotencyKey: "k", lines: $l}) { replayed } b: reserveStock(input: {idempotencyKey: "l", lines: $l}) { replayed } }`,
	} {
		lines := guard.KeysMax / strings.Count(write, "reserveStock")
		body := `{"query":` + quoted(write) + `,"variables":{"l":[` + strings.Repeat(`{"productId":"a","quantity":1},`, lines) + `{"productId":"a","quantity":1}]}}`
		assert.Contains(t, send(t, api, someone, body, nil).Body.String(), "at most 5000 ids, lines and rows together", write)
	}
}
