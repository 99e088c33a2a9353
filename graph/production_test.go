package graph_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/persisted"
	"onhand/graph/transport"
	"onhand/graph/trusted"
)

// productionAPI is the API of a server that checks tokens.
func productionAPI(store graph.Store, documents *trusted.TrustedDocuments) http.Handler {
	return graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: store, Log: slog.New(slog.DiscardHandler)},
		Closing:  transport.NewClosing(), Interpreted: interpreted, Production: true, Trusted: documents,
	})
}

// as is an API whose caller has these scopes; an anonymous one without a subject.
func as(api http.Handler, subject string, scopes ...guard.Scope) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if subject != "" {
			r = r.WithContext(guard.WithIdentity(r.Context(), guard.Identity{Subject: subject, Scopes: scopes}))
		}
		api.ServeHTTP(w, r)
	})
}

// answerTo is the answer to a document.
func answerTo(t *testing.T, api http.Handler, document string) (r reply) {
	t.Helper()
	raw, err := json.Marshal(request{Query: document})
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(send(t, api, someone, string(raw), nil).Body.Bytes(), &r))
	return r
}

// TestIntrospectionIsForAdmins: in production the schema is for the scope admin alone, at
// the first use of a document and later, however the document reads it. __typename is
// for every caller.
func TestIntrospectionIsForAdmins(t *testing.T) {
	t.Parallel()
	api := productionAPI(&fakeStore{}, nil)
	stranger, merchant, admin := as(api, ""), as(api, "erp", guard.ReadInventory, guard.WriteInventory), as(api, "ops", guard.Admin)
	for _, document := range []string{
		`{ __schema { types { name } } }`, `{ x: __type(name: "Stock") { name } }`, `{ locations { name } ...F } fragment F on Query { __schema { queryType { name } } }`,
		`query A { ... { __schema { queryType { name } } } }`,
	} {
		for range 3 {
			assert.Equal(t, "UNAUTHENTICATED", codeOf(t, stranger, document), document)
			assert.Equal(t, "FORBIDDEN", codeOf(t, merchant, document), document)
			assert.Empty(t, codeOf(t, admin, document), document)
		}
	}
	for range 2 {
		assert.Empty(t, codeOf(t, stranger, `{ __typename locations { __typename } }`))
	}
	assert.Empty(t, codeOf(t, as(apiOver(&fakeStore{}), ""), `{ __schema { types { name } } }`), "without production")
}

// codeOf is the code of the only error of an answer that has no data; empty for an answer
// without errors.
func codeOf(t *testing.T, api http.Handler, document string) string {
	t.Helper()
	r := answerTo(t, api, document)
	if len(r.Errors) == 0 {
		return ""
	}
	require.Len(t, r.Errors, 1, document)
	assert.Nil(t, r.Data, document)
	code, _ := r.Errors[0].Extensions["code"].(string)
	return code
}

// TestSuggestionsAreForAdmins: in production a refusal suggests names of the schema to
// the scope admin alone.
func TestSuggestionsAreForAdmins(t *testing.T) {
	t.Parallel()
	api := productionAPI(&fakeStore{}, nil)
	for document, suggestion := range map[string]string{
		`{ location }`:                                  "Did you mean",
		`{ locationz { name } }`:                        `Did you mean "location" or "locations"`,
		`{ stock(productIdd: "a") { id } }`:             `Did you mean "productId"`,
		`{ node(id: "a") { quantityAvailable } }`:       "Did you mean to use an inline fragment",
		`{ products(orderBy: TITEL) { nodes { id } } }`: "one of PRODUCT_ID",
		`query($o: ProductOrder! = TITEL) { products(orderBy: $o) { nodes { id } } }`: "one of PRODUCT_ID",
	} {
		text := func(api http.Handler) string {
			raw, err := json.Marshal(answerTo(t, api, document).Errors)
			require.NoError(t, err)
			return string(raw)
		}
		quotedSuggestion := quoted(suggestion)
		quotedSuggestion = quotedSuggestion[1 : len(quotedSuggestion)-1]
		assert.Contains(t, text(as(api, "ops", guard.Admin)), quotedSuggestion, document)
		assert.Contains(t, text(apiOver(&fakeStore{})), quotedSuggestion, document)
		hidden := text(as(api, ""))
		assert.NotContains(t, hidden, "Did you mean", document)
		assert.NotContains(t, hidden, "one of", document)
		assert.Contains(t, hidden, `"code"`, document)
	}
	variable := `{"query": "query($o: ProductOrder!) { products(orderBy: $o) { nodes { id } } }", "variables": {"o": "TITEL"}}`
	assert.Contains(t, send(t, as(api, "ops", guard.Admin), someone, variable, nil).Body.String(), "one of PRODUCT_ID")
	assert.NotContains(t, send(t, api, someone, variable, nil).Body.String(), "one of")
}

// TestTrustedDocuments: with a manifest alone, its documents are executed by their id or
// their text, in every form of a request, and no other one is, but for the scope admin. A
// document that an admin registered by its hash is for admins too.
func TestTrustedDocuments(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "manifest.json")
	manifest, err := json.Marshal(map[string]string{"names-1": names, "stale": "{ gone }", persisted.Hash(names): names})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, manifest, 0o600))
	documents, err := trusted.Open(trusted.OpenConfig{
		Path: path, Only: true, Exempt: guard.Introspection{AdminOnly: true}.Allowed, Check: graph.CheckDocument, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	assert.Equal(t, 2, documents.Len(), "a document that is not valid is left out")
	api := productionAPI(&fakeStore{}, documents)
	admin := as(api, "ops", guard.Admin)
	for range 3 {
		for _, body := range []string{
			`{"documentId": "names-1"}`, persistedRequest(t, "", persisted.Hash(names)), persistedRequest(t, names, persisted.Hash(names)), `{"query": ` + quoted(names) + `}`,
		} {
			assert.JSONEq(t, namesAnswer, send(t, api, someone, body, nil).Body.String(), body)
			assert.JSONEq(t, "["+namesAnswer+"]", send(t, api, someone, "["+body+"]", nil).Body.String(), body)
		}
		w := serveGet(t, api, "/graphql?documentId=names-1")
		assert.JSONEq(t, namesAnswer, w)
		other := "{ channels { name } }"
		for _, body := range []string{
			`{"query": ` + quoted(other) + `}`, persistedRequest(t, other, persisted.Hash(other)), persistedRequest(t, "", persisted.Hash(other)), `{"documentId": "names-2"}`, `{"documentId": "stale"}`,
		} {
			assert.Contains(t, send(t, api, someone, body, nil).Body.String(), `"code":"FORBIDDEN"`, body)
		}
		assert.Contains(t, send(t, admin, someone, persistedRequest(t, other, persisted.Hash(other)), nil).Body.String(), `"data":{"channels"`)
		assert.Contains(t, send(t, admin, someone, persistedRequest(t, "", persisted.Hash(other)), nil).Body.String(), `"data":{"channels"`)
	}
	assert.Contains(t, send(t, api, someone, `{"documentId": "names-1", "query": "{ channels { name } }"}`, nil).Body.String(), "not the one of its id")
}

// serveGet is the answer to a GET.
func serveGet(t *testing.T, api http.Handler, target string) string {
	t.Helper()
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, http.NoBody))
	return w.Body.String()
}
