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
	"github.com/stretchr/testify/require"
)

// messageCloseCodes are the close codes that a message can cause.
var messageCloseCodes = map[int]bool{closeBadMessage: true, closeNoInit: true, closeRepeatedID: true, closeRepeatedInit: true}

// FuzzProtocol: a message after connection_init is forwarded as one JSON value,
// answered with one, ignored, or ends the connection with a code of the protocol and a
// reason that fits into a close frame. gqlgen's answer reaches the client under the
// client's own id.
func FuzzProtocol(f *testing.F) {
	for _, pair := range [][2]string{
		{tick, `{"id":"1","type":"complete"}`}, {tick, tick}, {`{"type":"ping","payload":{"a":[1]}}`, `{"type":"pong"}`},
		{`{"type":"connection_init"}`, `{"type":"subscribe","id":"\ud800","payload":{"query":"{a}"}}`},
		{`{"type":"` + string(bytes.Repeat([]byte("é"), 200)) + `"}`, ``}, {`{"TYPE":"ping","Payload":null}`, `[]`},
	} {
		f.Add([]byte(pair[0]), []byte(pair[1]))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		p := newProtocol()
		if _, _, err := p.incoming([]byte(`{"type":"connection_init"}`)); err != nil {
			t.Fatal(err)
		}
		for _, data := range [][]byte{first, second} {
			forward, answer, err := p.incoming(data)
			var end closeError
			if err != nil && (!errors.As(err, &end) || !messageCloseCodes[end.code] || len(end.reason) > closeReasonBytesMax || !utf8.ValidString(end.reason)) {
				t.Fatalf("%q ends with %#v", data, err)
			}
			if err != nil {
				return
			}
			if forward != nil && !json.Valid(forward) || answer != nil && !json.Valid(answer) {
				t.Fatalf("%q: forwarded %q, answered %q", data, forward, answer)
			}
			if len(p.serverIDs) != len(p.clientIDs) {
				t.Fatalf("%q: %d client ids, %d server ids", data, len(p.serverIDs), len(p.clientIDs))
			}
			checkAnswerID(t, p, forward)
		}
	})
}

// gqlgenMessage is a message with gqlgen's own order of fields.
type gqlgenMessage struct {
	Payload json.RawMessage `json:"payload,omitempty"`
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
}

// TestSplitAnswer: it splits the answers that gqlgen sends.
func TestSplitAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"next", "error"} {
		data, err := json.Marshal(gqlgenMessage{json.RawMessage(`{"data":{"a":[1,2]}}`), "12", kind})
		require.NoError(t, err)
		m, ok := splitAnswer(data)
		require.True(t, ok)
		require.Equal(t, wsMessage{Type: kind, ID: "12", Payload: json.RawMessage(`{"data":{"a":[1,2]}}`)}, m)
	}
}

// FuzzSplitAnswer: an answer that is split gives the same message as one that is parsed.
func FuzzSplitAnswer(f *testing.F) {
	for _, data := range []string{
		`{"payload":{"data":{"name":"onhand"}},"id":"1","type":"next"}`, `{"payload":[{"message":"no"}],"id":"22","type":"error"}`,
		`{"payload":{"x":1,"id":"5","type":"next"},"type":"pong"}`, `{"payload":{"a":",\"id\":\"7\",\"type\":\"next\"}"},"id":"6","type":"next"}`,
		`{"id":"1","type":"complete"}`, `{"type":"connection_ack"}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole wsMessage
		if json.Unmarshal(data, &whole) != nil {
			return
		}
		if written, err := json.Marshal(gqlgenMessage{whole.Payload, whole.ID, whole.Type}); err != nil || !bytes.Equal(written, data) {
			return // gqlgen does not write it like this
		}
		split, ok := splitAnswer(data)
		if ok && (split.ID != whole.ID || split.Type != whole.Type || !bytes.Equal(split.Payload, whole.Payload)) {
			t.Fatalf("%s: split %+v, parsed %+v", data, split, whole)
		}
	})
}

// BenchmarkOutgoing sends one event of three kilobytes to one client: split, and parsed
// as a message with another order of fields is.
func BenchmarkOutgoing(b *testing.B) {
	payload := `"payload":{"data":{"stockChanged":{"title":"` + strings.Repeat("x", 3000) + `"}}}`
	for name, data := range map[string]string{
		"split":  `{` + payload + `,"id":"1","type":"next"}`,
		"parsed": `{"id":"1",` + payload + `,"type":"next"}`,
	} {
		b.Run(name, func(b *testing.B) {
			p := newProtocol()
			p.clientIDs["1"] = "client"
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if p.outgoing([]byte(data)) == nil {
					b.Fatal("no message")
				}
			}
		})
	}
}

// checkAnswerID checks that the client gets the answer to a forwarded operation under
// its own id.
func checkAnswerID(t *testing.T, p *protocol, forward []byte) {
	var sent, back wsMessage
	if json.Unmarshal(forward, &sent) != nil || sent.Type != "subscribe" {
		return
	}
	client := p.clientIDs[sent.ID]
	received := p.outgoing(encode(sent.ID, "next", []byte(`{"data":null}`)))
	if err := json.Unmarshal(received, &back); err != nil || back.ID != client || back.Type != "next" {
		t.Fatalf("%q is received as %q by %q", forward, received, client)
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
		if decode(body, &params) {
			written, err := json.Marshal(params)
			if err != nil || !decode(written, &again) || again.Query != params.Query || len(again.Variables) != len(params.Variables) {
				t.Fatalf("%q is read as %+v and written as %q: %v", body, params, written, err)
			}
		}
		if found, problem := readURL(&url.URL{RawQuery: query}); (found == nil) != (problem != "") {
			t.Fatalf("%q: %+v and %q", query, found, problem)
		}
	})
}
