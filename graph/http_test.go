package graph_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

// TestHTTP: what each kind of request is answered, by status and by code.
func TestHTTP(t *testing.T) {
	t.Parallel()
	api := readingShop(t).api
	const question = `{ stock(productId: "22423") { quantityAvailable } }`
	const answer = `{"data":{"stock":{"quantityAvailable":58}}}`
	body := func(query string) string {
		raw, err := json.Marshal(request{Query: query})
		require.NoError(t, err)
		return string(raw)
	}
	get := func(query, variables string) string {
		return "/graphql?" + url.Values{"query": {query}, "variables": {variables}}.Encode()
	}
	for name, test := range map[string]struct {
		method, target, body string
		header               http.Header
		status               int
		code                 string // of the only error
		want                 string // the whole answer, where it matters
		contains             string
	}{
		"POST":                  {body: body(question), status: 200, want: answer},
		"POST with a charset":   {body: body(question), header: http.Header{"Content-Type": {"application/json; charset=utf-8"}}, status: 200, want: answer},
		"POST, newer answer":    {body: body(question), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 200, want: answer},
		"POST that offers h2c":  {body: body(question), header: http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}}, status: 200, want: answer},
		"POST of a named query": {body: `{"query":"query A { locations { id } } query B { stock(productId: \"22423\") { quantityAvailable } }","operationName":"B"}`, status: 200, want: answer},
		"GET":                   {method: "GET", target: get(question, ""), status: 200, want: answer},
		"GET with variables":    {method: "GET", target: get(`query Q($id: ID!) { stock(productId: $id) { quantityAvailable } }`, `{"id": "22423"}`), status: 200, want: answer},
		"OPTIONS":               {method: "OPTIONS", status: 200},
		"HEAD":                  {method: "HEAD", status: 405},

		"GET of a mutation":     {method: "GET", target: get(`mutation { releaseReservation(input: {id: "r"}) { replayed } }`, ""), status: 406, contains: "GET requests only allow query operations"},
		"GET of a subscription": {method: "GET", target: get(`subscription { stockChanged(productIds: ["22423"]) { id } }`, ""), status: 406},
		"GET without a query":   {method: "GET", status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"GET, broken variables": {method: "GET", target: get(question, "{"), status: 400, contains: "variables could not be decoded"},
		"GET, broken document":  {method: "GET", target: get("{", ""), status: 422, code: "GRAPHQL_PARSE_FAILED"},

		"no body":              {body: "", status: 400, code: "BAD_USER_INPUT"},
		"no JSON":              {body: "not json, my secret password is hunter2", header: http.Header{}, status: 400, code: "BAD_USER_INPUT", contains: "could not be decoded"},
		"a list of requests":   {body: `[{"query":"{ locations { id } }"}]`, status: 400, code: "BAD_USER_INPUT"},
		"variables are a list": {body: `{"query":"{ locations { id } }","variables":[1]}`, status: 400, code: "BAD_USER_INPUT"},
		"no query":             {body: `{}`, status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"broken document":      {body: body(`{ stock(productId: `), status: 422, code: "GRAPHQL_PARSE_FAILED"},
		"broken, newer answer": {body: body(`{ stock(`), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 400, code: "GRAPHQL_PARSE_FAILED"},
		"unknown field":        {body: body(`{ price }`), status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown argument":     {body: body(`{ stock(id: "a", productId: "b") { id } }`), status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"no selection":         {body: body(`{ stock(productId: "b") }`), status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"endless fragment":     {body: body(`{ locations { ...A } } fragment A on Location { ...A }`), status: 422, code: "GRAPHQL_VALIDATION_FAILED"},
		"too many tokens":      {body: body("{ " + strings.Repeat("a ", guard.TokensMax) + "}"), status: 422, code: "GRAPHQL_PARSE_FAILED", contains: "token"},
		"too deep for a stack": {body: body(strings.Repeat("{ node ", guard.TokensMax/2)), status: 422, code: "GRAPHQL_PARSE_FAILED"},
		"deep list":            {body: body(`{ stocks(productIds: ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `) { id } }`), status: 422, code: "GRAPHQL_PARSE_FAILED"},
		"deep variables":       {body: `{"query":"{ locations { id } }","variables":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}}`, status: 400, code: "BAD_USER_INPUT"},

		"body too large":     {body: strings.Repeat(" ", guard.BodyBytesMax) + body(question), status: 413, code: "BAD_USER_INPUT"},
		"text":               {body: body(question), header: http.Header{"Content-Type": {"text/plain"}}, status: 415, code: "BAD_USER_INPUT"},
		"a form":             {body: "query={locations{id}}", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, status: 415, code: "BAD_USER_INPUT"},
		"an upload":          {body: "--x--", header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, status: 415, code: "BAD_USER_INPUT"},
		"a bare document":    {body: question, header: http.Header{"Content-Type": {"application/graphql"}}, status: 415, code: "BAD_USER_INPUT"},
		"no content type":    {body: body(question), header: http.Header{"Content-Type": {""}}, status: 415, code: "BAD_USER_INPUT"},
		"PUT":                {method: "PUT", body: body(question), status: 405, code: "BAD_USER_INPUT"},
		"DELETE":             {method: "DELETE", status: 405, code: "BAD_USER_INPUT"},
		"incremental answer": {body: body(`subscription { stockChanged(productIds: ["22423"]) { id } }`), header: http.Header{"Accept": {"multipart/mixed"}}, status: 200, code: "BAD_USER_INPUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, target := test.method, test.target
			if method == "" {
				method = http.MethodPost
			}
			if target == "" {
				target = "/graphql"
			}
			r := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(test.body))
			r.Header.Set("Content-Type", "application/json")
			for k, v := range test.header {
				r.Header[k] = v
			}
			status, got := answerTo(t, api, r)
			assert.Equal(t, test.status, status, "%s", got)
			if test.want != "" {
				assert.JSONEq(t, test.want, string(got))
			}
			assert.Contains(t, string(got), test.contains)
			assert.NotContains(t, string(got), "hunter2")
			if test.code != "" {
				var failed reply
				require.NoError(t, json.Unmarshal(got, &failed), "%s", got)
				require.Len(t, failed.Errors, 1)
				assert.Equal(t, test.code, failed.Errors[0].Extensions["code"])
			}
		})
	}
}

// TestABodyOfUnknownSizeIsBoundedToo: over the network, where nobody says how
// much will come.
func TestABodyOfUnknownSizeIsBoundedToo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(readingShop(t).api)
	defer server.Close()
	client := server.Client()
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		spaces, status int
	}{{10, 200}, {guard.BodyBytesMax, 413}} {
		body := io.MultiReader(strings.NewReader(strings.Repeat(" ", test.spaces)), strings.NewReader(`{"query":"{ locations { id } }"}`))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, body)
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/json")
		response, err := client.Do(r)
		require.NoError(t, err)
		got, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, test.status, response.StatusCode, "%s", got)
		mustNotLeak(t, got)
	}
}

// TestIntrospection: the whole schema can be read, as tools read it, and every
// type and field of ours says what it is.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	_, body := post(t, readingShop(t).api, "anonymous", request{Query: `{ __schema { types {
		name description fields(includeDeprecated: true) { name description args { name type { ...T } } type { ...T } }
		inputFields { name description } enumValues { name description } } directives { name } } }
		fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`})
	type named struct{ Name, Description string }
	var answer struct {
		Data struct {
			Schema struct {
				Types []struct {
					named
					Fields, InputFields, EnumValues []named
				}
			} `json:"__schema"`
		}
	}
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
	seen := 0
	inherited := map[string]bool{"message": true, "path": true} // said by the interface UserError
	for _, kind := range answer.Data.Schema.Types {
		if strings.HasPrefix(kind.Name, "__") || kind.Name == "Query" || kind.Name == "Mutation" || kind.Name == "Subscription" {
			continue
		}
		seen++
		assert.NotEmpty(t, kind.Description, kind.Name)
		for _, fields := range [][]named{kind.Fields, kind.InputFields, kind.EnumValues} {
			for _, field := range fields {
				assert.True(t, field.Description != "" || inherited[field.Name], "%s.%s", kind.Name, field.Name)
			}
		}
	}
	assert.Greater(t, seen, 40)
}
