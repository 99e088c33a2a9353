package graph_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/persisted"
)

// persistedRequest is a request with the hash of a document.
func persistedRequest(t *testing.T, document, hash string) string {
	t.Helper()
	body := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if document != "" {
		body["query"] = document
	}
	raw, err := json.Marshal(body)
	require.NoError(t, err)
	return string(raw)
}

// send posts a body as it is, from an address.
func send(t *testing.T, api http.Handler, address, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.RemoteAddr = address
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, r)
	mustNotLeak(t, w.Body.Bytes())
	return w
}

const (
	someone  = "192.0.2.1:1000"
	stranger = "198.51.100.1:1000"

	names        = `{ locations { name } }`
	namesAnswer  = `{"data":{"locations":[{"name":"London"}]}}`
	notFound     = `{"errors":[{"message":"PersistedQueryNotFound","extensions":{"code":"PERSISTED_QUERY_NOT_FOUND"}}]}`
	notSupported = `{"errors":[{"message":"PersistedQueryNotSupported","extensions":{"code":"PERSISTED_QUERY_NOT_SUPPORTED"}}]}`
)

// TestPersistedQueries: a miss, the document registered with its hash, then hits, by POST
// and GET. The refusal of a hash has status 200 in both media types.
func TestPersistedQueries(t *testing.T) {
	t.Parallel()
	api := apiOver(&fakeStore{})
	hash := persisted.Hash(names)
	get := func(query url.Values) *httptest.ResponseRecorder {
		query.Set("extensions", `{"persistedQuery":{"version":1,"sha256Hash":"`+hash+`"}}`)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql?"+query.Encode(), http.NoBody))
		return w
	}
	for _, accept := range []string{"", "application/json", "application/graphql-response+json", "application/graphql-response+json, application/json;q=0.9"} {
		miss := send(t, api, someone, persistedRequest(t, "", hash), http.Header{"Accept": {accept}})
		assert.Equal(t, http.StatusOK, miss.Code, accept)
		assert.JSONEq(t, notFound, miss.Body.String())
		assert.Equal(t, "private, no-store", miss.Header().Get("Cache-Control"), "no cache may keep a miss")
	}
	miss := get(url.Values{})
	assert.Equal(t, http.StatusOK, miss.Code)
	assert.JSONEq(t, notFound, miss.Body.String())
	assert.Equal(t, "private, no-store", miss.Header().Get("Cache-Control"))

	registered := send(t, api, someone, persistedRequest(t, names, hash), nil)
	assert.JSONEq(t, namesAnswer, registered.Body.String())
	for range 2 {
		assert.JSONEq(t, namesAnswer, send(t, api, stranger, persistedRequest(t, "", hash), nil).Body.String())
		assert.JSONEq(t, namesAnswer, send(t, api, stranger, persistedRequest(t, "", strings.ToUpper(hash)), nil).Body.String())
		assert.JSONEq(t, namesAnswer, get(url.Values{}).Body.String())
	}

	hash = persisted.Hash(names + " ")
	assert.JSONEq(t, namesAnswer, get(url.Values{"query": {names + " "}}).Body.String(), "GET registers too")
	assert.JSONEq(t, namesAnswer, send(t, api, someone, persistedRequest(t, "", hash), nil).Body.String())
}

// TestPersistedOperation: variables and the operation's name belong to the request, not
// to the document.
func TestPersistedOperation(t *testing.T) {
	t.Parallel()
	api := apiOver(&fakeStore{})
	const document = `query A($id: ID!) { stock(productId: $id) { productId } } query B { locations { name } } mutation C { releaseReservation(input: {id: "r"}) { replayed } }`
	hash := persisted.Hash(document)
	ask := func(rest string) *httptest.ResponseRecorder {
		return send(t, api, someone, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"`+hash+`","miss":true}}`+rest+`}`, nil)
	}
	assert.JSONEq(t, namesAnswer, ask(`,"operationName":"B","query":`+quoted(document)).Body.String())
	assert.JSONEq(t, `{"data":{"stock":{"productId":"a"}}}`, ask(`,"operationName":"A","variables":{"id":"a"}`).Body.String())
	assert.JSONEq(t, `{"data":{"stock":{"productId":"b"}}}`, ask(`,"operationName":"A","variables":{"id":"b"}`).Body.String())
	assert.Contains(t, ask(`,"operationName":"A","variables":{"id":{}}`).Body.String(), "variable $id")
	assert.Contains(t, ask(``).Body.String(), "the document has 3 operations")

	query := url.Values{"operationName": {"C"}, "extensions": {`{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}`}}
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/graphql?"+query.Encode(), http.NoBody))
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code, "a hash is no way around the rule for GET")
}

func quoted(text string) string {
	raw, _ := json.Marshal(text) // a string cannot fail
	return string(raw)
}

// TestPersistedRefusals: what is no hash, and a hash of another document, is refused, and
// registers nothing.
func TestPersistedRefusals(t *testing.T) {
	t.Parallel()
	hash := persisted.Hash(names)
	with := func(extension, rest string) string {
		return `{"extensions":{"persistedQuery":` + extension + `}` + rest + `}`
	}
	const invalid, bad = "extensions.persistedQuery must be", "BAD_USER_INPUT"
	for name, test := range map[string]struct {
		body, message, code string
		status              int
	}{
		"another document": {persistedRequest(t, names+" ", hash), "is not the SHA-256 hash of the document", bad, 200},
		"a text":           {with(`"`+hash+`"`, ""), invalid, bad, 200},
		"a list":           {with(`[]`, ""), invalid, bad, 200},
		"no hash":          {with(`{"version":1}`, ""), invalid, bad, 200},
		"a short hash":     {with(`{"version":1,"sha256Hash":"abc1"}`, ""), invalid, bad, 200},
		"not hexadecimal":  {with(`{"version":1,"sha256Hash":"`+strings.Repeat("x", 64)+`"}`, ""), invalid, bad, 200},
		"a number":         {with(`{"version":1,"sha256Hash":5}`, ""), invalid, bad, 200},
		"no version":       {with(`{"sha256Hash":"`+hash+`"}`, ""), invalid, bad, 200},
		"version as text":  {with(`{"version":"1","sha256Hash":"`+hash+`"}`, ""), invalid, bad, 200},
		"another version":  {with(`{"version":2,"sha256Hash":"`+hash+`"}`, ""), "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED", 200},
		"version 2, whole": {with(`{"version":2,"sha256Hash":"x"}`, `,"query":"{ locations { name } }"`), "PersistedQueryNotSupported", "PERSISTED_QUERY_NOT_SUPPORTED", 200},
		"null":             {with(`null`, ""), "the request has no document", bad, 400},
		"extensions, list": {`{"extensions":[]}`, "no GraphQL request in JSON", bad, 400},
	} {
		api := apiOver(&fakeStore{})
		w := send(t, api, someone, test.body, nil)
		assert.Equal(t, test.status, w.Code, name)
		var r reply
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &r), name)
		require.Len(t, r.Errors, 1, name)
		assert.Contains(t, r.Errors[0].Message, test.message, name)
		assert.Equal(t, test.code, r.Errors[0].Extensions["code"], name)
		assert.Nil(t, r.Data, name)
		assert.JSONEq(t, notFound, send(t, api, someone, persistedRequest(t, "", hash), nil).Body.String(), name)
	}
}

// TestRefusedDocumentIsNotRegistered: a document that is not executed is not registered:
// one that is invalid, too large, too complex, or has bad variables.
func TestRefusedDocumentIsNotRegistered(t *testing.T) {
	t.Parallel()
	api := apiOver(&fakeStore{})
	for _, document := range []string{
		"{", "{ price }", unknownFields(1001),
		"{ products(first: 250) { nodes { " + strings.Repeat("title id tracked ", 50) + " } } }", "query Q($id: ID!) { stock(productId: $id) { id } }",
	} {
		hash := persisted.Hash(document)
		refused := send(t, api, someone, persistedRequest(t, document, hash), nil)
		assert.Equal(t, http.StatusOK, refused.Code, document)
		assert.JSONEq(t, notFound, send(t, api, someone, persistedRequest(t, "", hash), nil).Body.String(), document)
	}
	large := names + strings.Repeat(" ", persisted.DocumentBytesMax)
	for range 2 {
		assert.Contains(t, send(t, api, someone, persistedRequest(t, large, persisted.Hash(large)), nil).Body.String(), "a document has at most 65536 bytes")
		assert.JSONEq(t, notFound, send(t, api, someone, persistedRequest(t, "", persisted.Hash(large)), nil).Body.String())
	}
}

// TestOtherCallersKeepTheirDocuments: an address that registers documents without end
// loses its own only, also under several ports.
func TestOtherCallersKeepTheirDocuments(t *testing.T) {
	t.Parallel()
	api := apiOver(&fakeStore{})
	send(t, api, someone, persistedRequest(t, names, persisted.Hash(names)), nil)
	for i := range persisted.CallerDocumentsMax + 1 {
		document := fmt.Sprintf("{ a%d: locations { name } }", i)
		send(t, api, strings.ReplaceAll(stranger, "1000", fmt.Sprint(1000+i)), persistedRequest(t, document, persisted.Hash(document)), nil)
	}
	assert.JSONEq(t, namesAnswer, send(t, api, stranger, persistedRequest(t, "", persisted.Hash(names)), nil).Body.String())
	assert.JSONEq(t, notFound, send(t, api, stranger, persistedRequest(t, "", persisted.Hash("{ a0: locations { name } }")), nil).Body.String())
	assert.Contains(t, send(t, api, stranger, persistedRequest(t, "", persisted.Hash("{ a1: locations { name } }")), nil).Body.String(), "London")
}

// TestPersistedOverStreams: over a WebSocket and an event stream, the refusal of a hash
// is a result without data, where clients look for it. A hash with its document is
// registered.
func TestPersistedOverStreams(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(apiOver(&fakeStore{}))
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	read := func() string {
		_, data, err := conn.Read(t.Context())
		require.NoError(t, err)
		return string(data)
	}
	socket := func(payload string) string {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"id":"1","type":"subscribe","payload":`+payload+`}`)))
		answer := read()
		assert.JSONEq(t, `{"id":"1","type":"complete"}`, read())
		return answer
	}
	require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(`{"type":"connection_init"}`)))
	require.Contains(t, read(), "connection_ack")
	events := func(payload string) string {
		return send(t, server.Config.Handler, someone, payload, http.Header{"Accept": {"text/event-stream"}}).Body.String()
	}

	hash := persisted.Hash(names)
	miss := persistedRequest(t, "", hash)
	for _, payload := range []string{miss, strings.Replace(miss, "{", `{"query":"",`, 1)} {
		assert.JSONEq(t, `{"id":"1","type":"next","payload":`+notFound+`}`, socket(payload))
		assert.Contains(t, events(payload), "event: next\ndata: "+notFound+"\n\nevent: complete\n")
	}
	assert.JSONEq(t, `{"id":"1","type":"next","payload":`+notSupported+`}`, socket(strings.Replace(miss, `"version":1`, `"version":2`, 1)))
	assert.JSONEq(t, `{"id":"1","type":"next","payload":`+namesAnswer+`}`, socket(persistedRequest(t, names, hash)))
	assert.JSONEq(t, `{"id":"1","type":"next","payload":`+namesAnswer+`}`, socket(miss))
	assert.Contains(t, events(miss), "event: next\ndata: "+namesAnswer+"\n\nevent: complete\n")
}
