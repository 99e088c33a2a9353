package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"testing"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/require"
)

// verdicts are the close codes that a message can earn.
var verdicts = map[int]bool{closeBadMessage: true, closeNoInit: true, closeRepeatedID: true, closeRepeatedInit: true}

// FuzzProtocol: any two messages after a greeting are passed on as one JSON
// value, answered with one, passed over, or end the connection with a code of
// the protocol and a reason that fits into a close frame. What gqlgen answers
// comes back under the client's own id.
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
			var end verdict
			if err != nil && (!errors.As(err, &end) || !verdicts[end.code] || len(end.reason) > closeReasonBytesMax || !utf8.ValidString(end.reason)) {
				t.Fatalf("%q ends with %#v", data, err)
			}
			if err != nil {
				return
			}
			if forward != nil && !json.Valid(forward) || answer != nil && !json.Valid(answer) {
				t.Fatalf("%q: passed on %q, answered %q", data, forward, answer)
			}
			if len(p.ours) != len(p.theirs) {
				t.Fatalf("%q: %d ids of theirs, %d of ours", data, len(p.ours), len(p.theirs))
			}
			under(t, p, forward)
		}
	})
}

// gqlgens is a message in the order in which gqlgen writes it.
type gqlgens struct {
	Payload json.RawMessage `json:"payload,omitempty"`
	ID      string          `json:"id,omitempty"`
	Type    string          `json:"type"`
}

// TestAnswersAreTakenApart: the short way is taken for what gqlgen sends, not just allowed.
func TestAnswersAreTakenApart(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"next", "error"} {
		data, err := json.Marshal(gqlgens{json.RawMessage(`{"data":{"a":[1,2]}}`), "12", kind})
		require.NoError(t, err)
		m, ok := answerIn(data)
		require.True(t, ok)
		require.Equal(t, message{Type: kind, ID: "12", Payload: json.RawMessage(`{"data":{"a":[1,2]}}`)}, m)
	}
}

// FuzzAnswerIn: whatever is taken apart the short way says what it says in full.
func FuzzAnswerIn(f *testing.F) {
	for _, data := range []string{
		`{"payload":{"data":{"name":"onhand"}},"id":"1","type":"next"}`, `{"payload":[{"message":"no"}],"id":"22","type":"error"}`,
		`{"payload":{"x":1,"id":"5","type":"next"},"type":"pong"}`, `{"payload":{"a":",\"id\":\"7\",\"type\":\"next\"}"},"id":"6","type":"next"}`,
		`{"id":"1","type":"complete"}`, `{"type":"connection_ack"}`,
	} {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var whole message
		if json.Unmarshal(data, &whole) != nil {
			return
		}
		if written, err := json.Marshal(gqlgens{whole.Payload, whole.ID, whole.Type}); err != nil || !bytes.Equal(written, data) {
			return // gqlgen does not write so
		}
		short, ok := answerIn(data)
		if ok && (short.ID != whole.ID || short.Type != whole.Type || !bytes.Equal(short.Payload, whole.Payload)) {
			t.Fatalf("%s: %+v, in full %+v", data, short, whole)
		}
	})
}

// BenchmarkOutgoing is one event of three kilobytes for one client.
func BenchmarkOutgoing(b *testing.B) {
	p := newProtocol()
	p.theirs["1"] = "client"
	data := []byte(`{"payload":{"data":{"stockChanged":{"title":"` + string(bytes.Repeat([]byte("x"), 3000)) + `"}}},"id":"1","type":"next"}`)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if p.outgoing(data) == nil {
			b.Fatal("nothing")
		}
	}
}

// under checks that what is under way is answered under the client's id.
func under(t *testing.T, p *protocol, forward []byte) {
	var sent, back message
	if json.Unmarshal(forward, &sent) != nil || sent.Type != "subscribe" {
		return
	}
	client := p.theirs[sent.ID]
	heard := p.outgoing(encode(sent.ID, "next", []byte(`{"data":null}`)))
	if err := json.Unmarshal(heard, &back); err != nil || back.ID != client || back.Type != "next" {
		t.Fatalf("%q is heard as %q by %q", forward, heard, client)
	}
}

// FuzzRequest: a body or a URL is a request or a problem in words, never both.
// A body that is taken says the same when it is written again.
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
				t.Fatalf("%q is %+v, and written %q: %v", body, params, written, err)
			}
		}
		if found, problem := readURL(&url.URL{RawQuery: query}); (found == nil) != (problem != "") {
			t.Fatalf("%q: %+v and %q", query, found, problem)
		}
	})
}
