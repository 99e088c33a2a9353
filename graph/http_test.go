package graph_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph"
	"onhand/graph/coding"
	"onhand/graph/generated"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/graph/validation"
	"onhand/models"
)

// TestHTTP: the status and the code of the answer to each kind of request.
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
	newer := http.Header{"Accept": {"application/graphql-response+json"}}
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
		"POST, newer type":      {body: body(question), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 200, want: answer},
		"POST that offers h2c":  {body: body(question), header: http.Header{"Connection": {"Upgrade, HTTP2-Settings"}, "Upgrade": {"h2c"}}, status: 200, want: answer},
		"POST of a named query": {body: `{"query":"query A { locations { id } } query B { stock(productId: \"22423\") { quantityAvailable } }","operationName":"B"}`, status: 200, want: answer},
		"GET":                   {method: "GET", target: get(question, ""), status: 200, want: answer},
		"GET with variables":    {method: "GET", target: get(`query Q($id: ID!) { stock(productId: $id) { quantityAvailable } }`, `{"id": "22423"}`), status: 200, want: answer},
		"OPTIONS":               {method: "OPTIONS", status: 200},
		"HEAD":                  {method: "HEAD", status: 405, code: "BAD_USER_INPUT"},

		"GET of a mutation":     {method: "GET", target: get(`mutation { releaseReservation(input: {id: "r"}) { replayed } }`, ""), status: 405, code: "BAD_USER_INPUT", contains: "GET is for queries only"},
		"GET of a subscription": {method: "GET", target: get(`subscription { stockChanged(productIds: ["22423"]) { id } }`, ""), status: 405, code: "BAD_USER_INPUT"},
		"GET without a query":   {method: "GET", status: 400, code: "BAD_USER_INPUT", contains: "no document"},
		"GET by a browser":      {method: "GET", header: http.Header{"Accept": {"text/html"}}, status: 400, code: "BAD_USER_INPUT", contains: "no document"},
		"GET, empty query":      {method: "GET", target: get("", ""), status: 400, code: "BAD_USER_INPUT", contains: "no document"},
		"GET, bad variables":    {method: "GET", target: get(question, "{"), status: 400, code: "BAD_USER_INPUT", contains: "variables must be"},
		"GET, variables twice":  {method: "GET", target: get(question, "{}{}"), status: 400, code: "BAD_USER_INPUT", contains: "variables must be"},
		"GET, bad extension":    {method: "GET", target: get(question, "") + "&extensions=[]", status: 400, code: "BAD_USER_INPUT", contains: "extensions must be"},
		"GET, bad URL":          {method: "GET", target: "/graphql?query=%zz", status: 400, code: "BAD_USER_INPUT", contains: "URL"},
		"GET, bad document":     {method: "GET", target: get("{", ""), status: 200, code: "GRAPHQL_PARSE_FAILED"},

		"no body":              {body: "", status: 400, code: "BAD_USER_INPUT"},
		"no JSON":              {body: "not json, my secret password is hunter2", header: http.Header{}, status: 400, code: "BAD_USER_INPUT", contains: "no GraphQL request"},
		"more than a request":  {body: body(question) + "{}", status: 400, code: "BAD_USER_INPUT"},
		"a list without any":   {body: `[]`, status: 400, code: "BAD_USER_INPUT", contains: "no request"},
		"variables are a list": {body: `{"query":"{ locations { id } }","variables":[1]}`, status: 400, code: "BAD_USER_INPUT"},
		"no query":             {body: `{}`, status: 400, code: "BAD_USER_INPUT", contains: "no document"},
		"empty query":          {body: body(""), status: 400, code: "BAD_USER_INPUT", contains: "no document"},
		"null":                 {body: "null", status: 400, code: "BAD_USER_INPUT"},
		"query without fields": {body: body(" "), status: 200, code: "GRAPHQL_VALIDATION_FAILED"},
		"invalid document":     {body: body(`{ stock(productId: `), status: 200, code: "GRAPHQL_PARSE_FAILED"},
		"invalid, newer type":  {body: body(`{ stock(`), header: http.Header{"Accept": {"application/graphql-response+json"}}, status: 400, code: "GRAPHQL_PARSE_FAILED"},
		"unknown field":        {body: body(`{ price }`), status: 200, code: "GRAPHQL_VALIDATION_FAILED"},
		"unknown argument":     {body: body(`{ stock(id: "a", productId: "b") { id } }`), status: 200, code: "GRAPHQL_VALIDATION_FAILED"},
		"no selection":         {body: body(`{ stock(productId: "b") }`), status: 200, code: "GRAPHQL_VALIDATION_FAILED"},
		"recursive fragment":   {body: body(`{ locations { ...A } } fragment A on Location { ...A }`), status: 200, code: "GRAPHQL_VALIDATION_FAILED"},
		"too many tokens":      {body: body("{ " + strings.Repeat("a ", guard.TokensMax) + "}"), status: 200, code: "GRAPHQL_PARSE_FAILED", contains: "token"},
		"too deep for a stack": {body: body(strings.Repeat("{ node ", guard.TokensMax/2)), status: 200, code: "GRAPHQL_PARSE_FAILED"},
		"deep list":            {body: body(`{ stocks(productIds: ` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `) { id } }`), status: 200, code: "GRAPHQL_PARSE_FAILED"},
		"deep variables":       {body: `{"query":"{ locations { id } }","variables":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}}`, status: 400, code: "BAD_USER_INPUT"},

		"too many selections": {body: body(unknownFields(validation.SelectionsMax + 1)), status: 200, code: "BAD_USER_INPUT", contains: "at most 1000 selections"},
		"and the newer type":  {body: body(unknownFields(validation.SelectionsMax + 1)), header: newer, status: 400, code: "BAD_USER_INPUT"},
		"doubling fragments":  {body: body(doubling(40)), status: 200, code: "BAD_USER_INPUT", contains: "once its fragments are in place"},
		"too complex":         {body: body(`{ products(first: 250) { nodes { ` + strings.Repeat("title id tracked ", 50) + ` } } }`), status: 200, code: "BAD_USER_INPUT", contains: "complexity"},
		"too complex, newer":  {body: body(`{ products(first: 250) { nodes { ` + strings.Repeat("title id tracked ", 50) + ` } } }`), header: newer, status: 400, code: "BAD_USER_INPUT"},

		"body too large":     {body: strings.Repeat(" ", guard.BodyBytesMax) + body(question), status: 413, code: "BAD_USER_INPUT"},
		"text":               {body: body(question), header: http.Header{"Content-Type": {"text/plain"}}, status: 415, code: "BAD_USER_INPUT"},
		"a form":             {body: "query={locations{id}}", header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, status: 415, code: "BAD_USER_INPUT"},
		"an upload":          {body: "--x--", header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, status: 415, code: "BAD_USER_INPUT"},
		"a bare document":    {body: question, header: http.Header{"Content-Type": {"application/graphql"}}, status: 415, code: "BAD_USER_INPUT"},
		"no content type":    {body: body(question), header: http.Header{"Content-Type": {""}}, status: 415, code: "BAD_USER_INPUT"},
		"another charset":    {body: body(question), header: http.Header{"Content-Type": {"application/json; charset=iso-8859-1"}}, status: 415, code: "BAD_USER_INPUT"},
		"brotli":             {body: body(question), header: http.Header{"Content-Encoding": {"br"}}, status: 415, code: "BAD_USER_INPUT", contains: "Content-Encoding"},
		"no zstd":            {body: body(question), header: http.Header{"Content-Encoding": {"zstd"}}, status: 400, code: "BAD_USER_INPUT"},
		"no gzip":            {body: body(question), header: http.Header{"Content-Encoding": {"gzip"}}, status: 400, code: "BAD_USER_INPUT"},
		"PATCH":              {method: "PATCH", body: body(question), status: 405, code: "BAD_USER_INPUT"},
		"DELETE":             {method: "DELETE", status: 404, code: "BAD_USER_INPUT", contains: "event stream"},
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
			w := httptest.NewRecorder()
			api.ServeHTTP(w, r)
			got := w.Body.Bytes()
			mustNotLeak(t, got)
			assert.Equal(t, test.status, w.Code, "%s", got)
			if test.want != "" {
				assert.JSONEq(t, test.want, string(got))
			}
			assert.Contains(t, string(got), test.contains)
			hasAllow := test.status == http.StatusMethodNotAllowed || method == http.MethodOptions
			assert.Equal(t, hasAllow, w.Header().Get("Allow") != "", "the Allow header")
			assert.NotContains(t, string(got), "hunter2")
			if len(got) == 0 { // OPTIONS
				return
			}
			var answered reply
			require.NoError(t, json.Unmarshal(got, &answered), "%s", got)
			if test.code == "" {
				assert.Empty(t, answered.Errors)
				return
			}
			require.Len(t, answered.Errors, 1, "%s", got)
			assert.Equal(t, test.code, answered.Errors[0].Extensions["code"])
			assert.Nil(t, answered.Data, "a request that was not executed has no data, not even null: %s", got)
		})
	}
}

// TestCompressedRequests: a compressed request is answered like a plain one.
func TestCompressedRequests(t *testing.T) {
	t.Parallel()
	for _, used := range []coding.Coding{coding.Gzip, coding.Zstd} {
		body := string(used.Append(nil, []byte(`{"query":"{ locations { name } }"}`)))
		for _, accept := range []string{"application/json", "text/event-stream"} {
			answer := send(t, apiOver(&fakeStore{}), someone, body, http.Header{"Content-Encoding": {string(used)}, "Accept": {accept}})
			assert.Equal(t, http.StatusOK, answer.Code)
			assert.Contains(t, answer.Body.String(), namesAnswer)
		}
	}
}

// TestCompressedAnswers: a long answer is compressed as the client wants, also one of an
// array; a short one and an event stream never are.
func TestCompressedAnswers(t *testing.T) {
	t.Parallel()
	api := readingShop(t).api
	const short, long = `{"query":"{ __typename }"}`, `{"query":"{ products(first: 250) { nodes { id title tracked inventoryPolicy stock { productId quantityAvailable version } } } }"}`
	plain := send(t, api, someone, long, http.Header{}).Body.String()
	require.Greater(t, len(plain), coding.CompressFrom)
	for _, used := range []coding.Coding{coding.Gzip, coding.Zstd} {
		for _, body := range []string{long, "[" + long + "]"} {
			answer := send(t, api, someone, body, http.Header{"Accept-Encoding": {string(used)}})
			assert.Equal(t, string(used), answer.Header().Get("Content-Encoding"))
			assert.Equal(t, "Accept-Encoding", answer.Header().Get("Vary"))
			assert.Less(t, answer.Body.Len(), len(plain)/2)
			got, err := coding.NewBodies(guard.BodyBytesMax).Decode(used, answer.Body)
			require.NoError(t, err)
			assert.Equal(t, plain, strings.Trim(string(got), "[]"))
		}
		assert.Empty(t, send(t, api, someone, short, http.Header{"Accept-Encoding": {string(used)}}).Header().Get("Content-Encoding"))
		assert.Empty(t, send(t, api, someone, long, http.Header{"Accept-Encoding": {string(used)}, "Accept": {"text/event-stream"}}).Header().Get("Content-Encoding"))
	}
	answer := send(t, api, someone, long, http.Header{"Accept-Encoding": {"br"}})
	assert.Equal(t, plain, answer.Body.String())
	assert.Equal(t, "Accept-Encoding", answer.Header().Get("Vary"))
	assert.Equal(t, "nosniff", answer.Header().Get("X-Content-Type-Options"))
}

// TestPlayground: a browser that asks for no document is sent to the playground. A
// program gets an error.
func TestPlayground(t *testing.T) {
	t.Parallel()
	api := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: &fakeStore{}, Log: slog.New(slog.DiscardHandler)}, Closing: transport.NewClosing(), Playground: "/playground",
	})
	get := func(target, accept string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody)
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, r)
		return w
	}
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
	w := get("/graphql", browser)
	assert.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/playground", w.Header().Get("Location"))
	assert.Equal(t, "Accept", w.Header().Get("Vary"))
	assert.Equal(t, "private, no-store", w.Header().Get("Cache-Control"))
	for _, accept := range []string{"", "*/*", "application/json", "application/json, text/html"} {
		assert.Equal(t, http.StatusBadRequest, get("/graphql", accept).Code, accept)
	}
	assert.JSONEq(t, namesAnswer, get("/graphql?query="+url.QueryEscape(names), browser).Body.String())
	assert.Equal(t, http.StatusBadRequest, get("/graphql?query=%zz", browser).Code)
}

// TestBodyWithoutLength: a body without a Content-Length is bounded too.
func TestBodyWithoutLength(t *testing.T) {
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

// doubling returns n fragments, each of which spreads the next one twice.
func doubling(n int) string {
	var b strings.Builder
	b.WriteString("{ products { nodes { ...F0 } } } ")
	for i := range n {
		fmt.Fprintf(&b, "fragment F%d on Product { a: stock { product { ...F%d } } b: stock { product { ...F%d } } } ", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment F%d on Product { id }", n)
	return b.String()
}

// TestNullData: an executed request whose data is null is answered with 200, and with
// the media type that the client accepts.
func TestNullData(t *testing.T) {
	t.Parallel()
	f := failingStore(func() error { return models.Unavailable("later", nil) })
	for accept, want := range map[string]string{
		"":          "application/json; charset=utf-8",
		"text/html": "application/json; charset=utf-8",
		"*/*":       "application/json; charset=utf-8",
		"text/html, application/graphql-response+json;q=0.9, application/json;q=0.8": "application/graphql-response+json; charset=utf-8",
		"application/json, application/graphql-response+json":                        "application/json; charset=utf-8",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(`{"query":"{ stocks(productIds: [\"a\"]) { id } }"}`))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		apiOver(f).ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code)
		assert.Equal(t, want, w.Header().Get("Content-Type"), accept)
		assert.Contains(t, w.Body.String(), `"code":"UNAVAILABLE"`)
		assert.True(t, strings.HasSuffix(w.Body.String(), `,"data":null}`), "%s", w.Body)
	}
}

// unknownFields is a document with n selections that no type has.
func unknownFields(n int) string {
	text := "{"
	for i := range n {
		text += " f" + strconv.Itoa(i)
	}
	return text + " }"
}

// TestErrorsAreBounded: the answer to an invalid document has 10 of its errors.
func TestErrorsAreBounded(t *testing.T) {
	t.Parallel()
	query := unknownFields(900)
	status, body := post(t, readingShop(t).api, "", request{Query: query})
	assert.Equal(t, http.StatusOK, status)
	var failed reply
	require.NoError(t, json.Unmarshal(body, &failed))
	assert.Len(t, failed.Errors, validation.ErrorsMax)
	assert.Equal(t, validation.ErrorsMax, strings.Count(watch(t, readingShop(t).api, query).next(), `"message"`), "over a stream too")
}

// TestGraphiQLIntrospection: the query of the playground is answered.
func TestGraphiQLIntrospection(t *testing.T) {
	t.Parallel()
	query, err := os.ReadFile("guard/testdata/graphiql.graphql")
	require.NoError(t, err)
	status, body := post(t, readingShop(t).api, "anonymous", request{Query: string(query)})
	assert.Equal(t, http.StatusOK, status)
	var answer reply
	require.NoError(t, json.Unmarshal(body, &answer))
	assert.Empty(t, answer.Errors)
}

// TestIntrospection: tools can read the whole schema, and every type, field and argument
// has a description.
func TestIntrospection(t *testing.T) {
	t.Parallel()
	_, body := post(t, readingShop(t).api, "anonymous", request{Query: `{ __schema { types {
		name description fields(includeDeprecated: true) { name description args { name description type { ...T } } type { ...T } }
		inputFields { name description } enumValues { name description } } directives { name } } }
		fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }`})
	type named struct{ Name, Description string }
	var answer struct {
		Data struct {
			Schema struct {
				Types []struct {
					named
					Fields []struct {
						named
						Args []named
					}
					InputFields, EnumValues []named
				}
			} `json:"__schema"`
		}
	}
	require.NoError(t, json.Unmarshal(body, &answer), "%s", body)
	seen := 0
	for _, kind := range answer.Data.Schema.Types {
		if strings.HasPrefix(kind.Name, "__") {
			continue
		}
		seen++
		assert.NotEmpty(t, kind.Description, kind.Name)
		described := slices.Concat(kind.InputFields, kind.EnumValues)
		for _, field := range kind.Fields {
			described = append(described, field.named)
			for _, arg := range field.Args {
				assert.NotEmpty(t, arg.Description, "%s.%s(%s)", kind.Name, field.Name, arg.Name)
			}
		}
		for _, part := range described {
			assert.NotEmpty(t, part.Description, "%s.%s", kind.Name, part.Name)
		}
		if kind.Name == "Query" {
			assert.Contains(t, kind.Description, "1,000 selections")
			assert.Contains(t, kind.Description, "30,000")
		}
	}
	assert.Greater(t, seen, 40)
}

// TestSDL: the schema that is served is the one that is executed, without what only
// gateways and the server's generator read.
func TestSDL(t *testing.T) {
	t.Parallel()
	served, err := gqlparser.LoadSchema(&ast.Source{Name: "schema.graphql", Input: graph.SDL()})
	require.NoError(t, err)
	for _, absent := range []string{"goField", "extend type", "@key", "@catalogue", "@shareable", "@inaccessible", "_entities", "_service", "_Entity"} {
		assert.NotContains(t, graph.SDL(), absent)
	}
	forGateways := []string{"_Any", "_Entity", "_Service", "_entities", "_service"}
	executed := generated.NewExecutableSchema(generated.Config{}).Schema()
	require.Len(t, served.Types, len(executed.Types)-3)
	for name, want := range executed.Types {
		if slices.Contains(forGateways, name) {
			continue
		}
		got := served.Types[name]
		require.NotNil(t, got, name)
		assert.Equal(t, want.Kind, got.Kind, name)
		assert.Equal(t, want.Description, got.Description, name)
		assert.Equal(t, want.Interfaces, got.Interfaces, name)
		for _, field := range want.Fields {
			if slices.Contains(forGateways, field.Name) {
				continue
			}
			same := got.Fields.ForName(field.Name)
			require.NotNil(t, same, "%s.%s", name, field.Name)
			assert.Equal(t, field.Type.String(), same.Type.String(), "%s.%s", name, field.Name)
			assert.Equal(t, field.Description, same.Description, "%s.%s", name, field.Name)
			assert.Len(t, same.Arguments, len(field.Arguments), "%s.%s", name, field.Name)
		}
		assert.Len(t, got.EnumValues, len(want.EnumValues), name)
	}
	for name, url := range map[string]string{"BigInt": "rfc8259", "Time": "rfc3339"} {
		assert.Contains(t, served.Types[name].Directives.ForName("specifiedBy").Arguments.ForName("url").Value.Raw, url)
	}
	assert.Len(t, served.Directives, len(executed.Directives)-5)
}
