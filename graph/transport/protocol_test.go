package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/rawparams"
	"onhand/graph/transport/protocol"
	"onhand/graph/transport/wsframe"
)

// FuzzMessage: a message of a client is parsed, or ends the connection with 4400 and a
// reason that fits into a close frame. The messages that answer it are JSON with the
// client's own id.
func FuzzMessage(f *testing.F) {
	for _, text := range []string{
		tick, `{"id":"1","type":"complete"}`, `{"type":"ping","payload":{"a":[1]}}`, `{"type":"pong"}`, `{"type":"connection_init"}`,
		`{"type":"subscribe","id":"\ud800","payload":{"query":"{a}"}}`, `{"type":"` + strings.Repeat("é", 200) + `"}`, ``,
		`{"TYPE":"ping","Payload":null}`, `[]`, `{"type":"subscribe","id":"x","payload":{"extensions":{"persistedQuery":1}}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := protocol.Parse(data)
		var params *graphql.RawParams
		if err == nil && m.Type == "subscribe" {
			params, err = protocol.ParseSubscribe(m.Payload)
		}
		var end wsframe.CloseError
		if err != nil {
			if !errors.As(err, &end) || end.Code != 4400 || len(end.Reason) > wsframe.ReasonBytesMax || !utf8.ValidString(end.Reason) {
				t.Fatalf("%q ends with %#v", data, err)
			}
			return
		}
		switch m.Type {
		case "ping":
			if pong := protocol.AppendPong(nil, m.Payload); !json.Valid(pong) {
				t.Fatalf("%q is answered with %q", data, pong)
			}
		case "subscribe":
			if !hasDocument(params) && params.Query == "" && !bytes.Contains(data, []byte("query")) && !bytes.Contains(data, []byte("documentId")) {
				t.Fatalf("%q has no document", data)
			}
			checkAnswers(t, &operation{id: protocol.Quoted(m.ID), key: m.ID})
		}
	})
}

// checkAnswers checks that each message of an operation has its id.
func checkAnswers(t *testing.T, o *operation) {
	t.Helper()
	response := &graphql.Response{Data: []byte(`null`), Errors: gqlerror.List{{Message: "no"}}}
	for kind, text := range map[string][]byte{
		"next": protocol.AppendNext(nil, o.id, response), "error": protocol.AppendError(nil, o.id, response), "complete": protocol.AppendComplete(nil, o.id),
	} {
		var back struct{ Type, ID string }
		if err := json.Unmarshal(text, &back); err != nil || back.Type != kind || string(protocol.Quoted(back.ID)) != string(o.id) {
			t.Fatalf("%s of %q: %q", kind, o.key, text)
		}
	}
}

// FuzzRequest: a URL is read as a request or as a problem, never both. An accepted body
// is read the same after it is written again.
func FuzzRequest(f *testing.F) {
	for _, body := range []string{`{"query":"{ a }","variables":{"n":1e400,"m":9007199254740993}}`, `{}`, `{"query":1}`, `{"query":"a"}{}`, `null`, ``} {
		f.Add([]byte(body), "query=%7B+a+%7D&variables=%7B%7D")
	}
	f.Add([]byte(`{"variables":[]}`), "query=a;b&variables=[]&extensions=%zz")
	f.Fuzz(func(t *testing.T, body []byte, query string) {
		var params, again graphql.RawParams
		if rawparams.DecodeValue(body, &params) {
			written, err := json.Marshal(params)
			if err != nil || !rawparams.DecodeValue(written, &again) || again.Query != params.Query || len(again.Variables) != len(params.Variables) {
				t.Fatalf("%q is read as %+v and written as %q: %v", body, params, written, err)
			}
		}
		if found, problem := readURL(&url.URL{RawQuery: query}); (found == nil) != (problem != "") {
			t.Fatalf("%q: %+v and %q", query, found, problem)
		}
	})
}
