package graph_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// refusedValues has, for each scalar of the API and for enums and input objects, an
// operation and a value of another type: as a variable $v, and as a literal.
var refusedValues = map[string]struct {
	document string // with $v
	kind     string // of $v
	variable string // JSON
	literal  string
	message  string // of the variable
	path     string
}{
	"Int":          {document: `{ products(first: $v) { nodes { id } } }`, kind: "Int", variable: `"5"`, literal: `5.0`, message: `got the text "5"`},
	"Int, nested":  {document: `mutation { reserveStock(input: {idempotencyKey: "k", lines: $v}) { replayed } }`, kind: "[ReservationLineInput!]!", variable: `[{"productId": "a", "quantity": 1}, {"productId": "a", "quantity": 5.5}]`, literal: `[{productId: "a", quantity: true}]`, message: "got the number 5.5", path: "v[1].quantity"},
	"String":       {document: `{ products(after: $v) { nodes { id } } }`, kind: "String", variable: `5`, literal: `5`, message: "got the number 5"},
	"Boolean":      {document: `{ locations { id @include(if: $v) name } }`, kind: "Boolean!", variable: `"true"`, literal: `1`, message: `got the text "true"`},
	"ID":           {document: `{ stock(productId: $v) { id } }`, kind: "ID!", variable: `5.5`, literal: `5.0`, message: "got the number 5.5"},
	"ID, list":     {document: `{ stocks(productIds: $v) { id } }`, kind: "[ID!]!", variable: `["a", {}]`, literal: `["a", RED]`, message: "got an object", path: "v[1]"},
	"BigInt":       {document: `{ stock(productId: "a", minVersion: $v) { id } }`, kind: "BigInt", variable: `"5"`, literal: `5.0`, message: `got the text "5"`},
	"BigInt, size": {document: `{ stock(productId: "a", minVersion: $v) { id } }`, kind: "BigInt", variable: `9007199254740992`, literal: `9007199254740992`, message: "got the number 9007199254740992"},
	"Time":         {document: `{ stock(productId: "a", asOf: $v) { id } }`, kind: "Time", variable: `1767225600`, literal: `1767225600`, message: "got the number 1767225600"},
	"Time, text":   {document: `{ stock(productId: "a", asOf: $v) { id } }`, kind: "Time", variable: `"2026-03-01"`, literal: `"2026-03-01"`, message: `got the text "2026-03-01"`},
	"enum":         {document: `{ stockMovements(filter: {state: $v}) { nodes { id } } }`, kind: "StockState", variable: `"available"`, literal: `"AVAILABLE"`, message: `got the text "available"`},
	"object":       {document: `{ stockMovements(filter: $v) { nodes { id } } }`, kind: "StockMovementFilter", variable: `"x"`, literal: `"x"`, message: `got the text "x"`},
}

// withVariable declares $v in a document.
func withVariable(document, kind string) string {
	if rest, ok := strings.CutPrefix(document, "mutation"); ok {
		return "mutation($v: " + kind + ")" + rest
	}
	return "query($v: " + kind + ")" + document
}

// TestValuesOfAnotherType: whatever the scalar, the way it was sent and the transport,
// the request is not executed, with one status and one code.
func TestValuesOfAnotherType(t *testing.T) {
	t.Parallel()
	api := apiOver(&fakeStore{})
	type sent struct{ name, body, message, path string }
	var all []sent
	for name, test := range refusedValues {
		query, err := json.Marshal(withVariable(test.document, test.kind))
		require.NoError(t, err)
		all = append(all, sent{name + ", variable", `{"query":` + string(query) + `,"variables":{"v":` + test.variable + `}}`, test.message, test.path})
		query, err = json.Marshal(strings.ReplaceAll(test.document, "$v", test.literal))
		require.NoError(t, err)
		all = append(all, sent{name + ", literal", `{"query":` + string(query) + `}`, "got ", ""})
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			check := func(body []byte) {
				var r reply
				require.NoError(t, json.Unmarshal(body, &r), "%s", body)
				require.Len(t, r.Errors, 1, "%s", body)
				assert.Equal(t, map[string]any{"code": "BAD_USER_INPUT"}, r.Errors[0].Extensions)
				assert.Contains(t, r.Errors[0].Message, s.message)
				if strings.HasSuffix(s.name, "variable") {
					assert.Contains(t, r.Errors[0].Message, "variable $v")
					assert.Contains(t, r.Errors[0].Message, s.path+": want ")
				}
				assert.Nil(t, r.Data)
			}
			for accept, want := range map[string]int{"application/json": 200, "application/graphql-response+json": 400} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql", strings.NewReader(s.body))
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Accept", accept)
				status, body := serve(t, api, r)
				assert.Equal(t, want, status)
				check(body)
			}
			var request struct {
				Query     string
				Variables json.RawMessage
			}
			require.NoError(t, json.Unmarshal([]byte(s.body), &request))
			status, body := serve(t, api, httptest.NewRequestWithContext(t.Context(), http.MethodGet,
				"/graphql?"+url.Values{"query": {request.Query}, "variables": {string(request.Variables)}}.Encode(), nil))
			assert.Equal(t, 200, status)
			check(body)
		})
	}
}

// TestValuesOverWebSocket: the same message and code, as an "error" of the protocol.
func TestValuesOverWebSocket(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(apiOver(&fakeStore{}))
	defer server.Close()
	conn, _, err := websocket.Dial(t.Context(), server.URL, &websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}})
	require.NoError(t, err)
	defer func() { _ = conn.CloseNow() }()
	roundTrip := func(text string) string {
		require.NoError(t, conn.Write(t.Context(), websocket.MessageText, []byte(text)))
		_, answer, err := conn.Read(t.Context())
		require.NoError(t, err)
		return string(answer)
	}
	require.Contains(t, roundTrip(`{"type":"connection_init"}`), "connection_ack")
	assert.JSONEq(t, `{"id":"1","type":"error","payload":[{"message":"variable $n: want Int, a whole number of 32 bits; got the text \"5\"",
		"path":["variable","n"],"extensions":{"code":"BAD_USER_INPUT"}}]}`,
		roundTrip(`{"id":"1","type":"subscribe","payload":{"query":"query($n: Int) { products(first: $n) { nodes { id } } }","variables":{"n":"5"}}}`))
	assert.JSONEq(t, `{"id":"2","type":"error","payload":[{"message":"argument first: want Int, a whole number of 32 bits; got the text \"5\"",
		"locations":[{"line":1,"column":20}],"extensions":{"code":"BAD_USER_INPUT"}}]}`,
		roundTrip(`{"id":"2","type":"subscribe","payload":{"query":"{ products(first: \"5\") { nodes { id } } }"}}`))
}

// TestAcceptedValues: 5.0 is an Int and a whole number is an ID, as variables, and the
// store gets them as such.
func TestAcceptedValues(t *testing.T) {
	t.Parallel()
	f := &fakeStore{}
	for variables, want := range map[string]string{
		`{"ids": [22423.0, "a", 7]}`: `["22423","a","7"]`,
		`{"ids": 22423}`:             `["22423"]`,
		`{"ids": "22423"}`:           `["22423"]`,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/graphql",
			strings.NewReader(`{"query":"query($ids: [ID!]!) { stocks(productIds: $ids) { productId } }","variables":`+variables+`}`))
		r.Header.Set("Content-Type", "application/json")
		status, body := serve(t, apiOver(f), r)
		assert.Equal(t, 200, status, "%s", body)
		var answer struct {
			Data struct{ Stocks []struct{ ProductID string } }
		}
		require.NoError(t, json.Unmarshal(body, &answer))
		var ids []string
		for _, s := range answer.Data.Stocks {
			ids = append(ids, s.ProductID)
		}
		raw, err := json.Marshal(ids)
		require.NoError(t, err)
		assert.JSONEq(t, want, string(raw))
	}
}
