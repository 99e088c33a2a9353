package rawparams

import (
	"reflect"
	"strings"
	"testing"

	"github.com/99designs/gqlgen/graphql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// bodies are requests, and what is none.
var bodies = []string{
	`{"query":"{ __typename }"}`,
	` { "query" : "query Q($ids: [ID!]!) {\n\tstocks(productIds: $ids) { productId } }" , "operationName":"Q","variables":{"ids":["a","b/c","é","日本"],"n":-1.5e+10,"deep":{"a":[{},[],null,true,false,0]}} } ` + "\r\n\t",
	`{"query":null,"operationName":null,"variables":null,"extensions":null}`,
	`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"abc"}}}`,
	`{"documentId":"sha256:abc","variables":{"a":1}}`, `{"documentId":"","query":"a"}`, `{"documentId":1}`, `{"documentId":"a","documentId":"b"}`, `{"documentId":"a","extensions":{"persistedQuery":{"sha256Hash":"b"}}}`, `{"documentid":"a"}`,
	`{"query":"\"\\\/\b\f\n\r\t"}`, `{"query":"\u0041\ud83d\ude00\ud800"}`, `{"query":"\x"}`, `{"query":"a` + "\n" + `"}`, "{\"query\":\"\xff\"}", "{\"variables\":{\"\xff\":1}}",
	`{"Query":"a"}`, `{"query":"a","query":"b"}`, `{"variables":{"a":1},"variables":{"b":2}}`, `{"variables":{"a":1,"a":2}}`, `{"qu\u0065ry":"a"}`,
	`{"query":"a","headers":{"A":["b"]}}`, `{"query":"a","headers":1}`, `{"query":"a","id":[1,{"x":null}]}`, `{"query":"a","id":}`,
	`{"query":1}`, `{"query":["a"]}`, `{"variables":[]}`, `{"variables":"x"}`, `{"extensions":1}`, `{"operationName":{}}`,
	`{"variables":{"n":01}}`, `{"variables":{"n":-}}`, `{"variables":{"n":1.}}`, `{"variables":{"n":1e}}`, `{"variables":{"n":1e400}}`, `{"variables":{"n":-0}}`, `{"variables":{"n":+1}}`, `{"variables":{"n":1a}}`,
	`{"variables":{"a":tru}}`, `{"variables":{"a":nul}}`, `{"variables":{"a":[1,]}}`, `{"variables":{"a":1,}}`, `{"variables":{"a" 1}}`, `{"variables":{,}}`, `{"variables":{"a":[}`,
	`{"query":"a"}x`, `{"query":"a"} {"query":"b"}`, `{"query":"a"}` + "\x00", `{"query":"a",}`, `{"query":"a" "b"}`, `{"query":"a`, `{"query":"a\`, `{"query"`, `{`, `{}`, ``, ` `, `null`, `[]`, `"a"`, `1`, "\xef\xbb\xbf{}",
	`{"variables":{"a":` + strings.Repeat("[", 200) + strings.Repeat("]", 200) + `}}`,
	`{"variables":{"a":` + strings.Repeat("[", 20_000) + strings.Repeat("]", 20_000) + `}}`,
	`{"variables":` + strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 41),
}

// TestAsEncodingJSON: a request is read, or refused, as encoding/json does it.
func TestAsEncodingJSON(t *testing.T) {
	t.Parallel()
	for _, body := range bodies {
		requireSame(t, []byte(body))
	}
}

// TestUsualRequestsAreReadByHand: the requests that clients send take the short way.
func TestUsualRequestsAreReadByHand(t *testing.T) {
	t.Parallel()
	for _, body := range bodies[:6] {
		p := parser{data: []byte(body)}
		assert.True(t, p.request(&request{}), body)
	}
}

// TestNothingRefersToTheBody: a caller may use the bytes again.
func TestNothingRefersToTheBody(t *testing.T) {
	t.Parallel()
	body := []byte(bodies[1])
	params, ok := Decode(body)
	require.True(t, ok)
	for i := range body {
		body[i] = 'x'
	}
	want, _ := Decode([]byte(bodies[1]))
	require.Equal(t, want, params)
}

func requireSame(t *testing.T, body []byte) {
	t.Helper()
	sent := &request{}
	accepted := DecodeValue(body, sent)
	want := &sent.RawParams
	SetDocumentID(want, sent.DocumentID)
	got, ok := Decode(body)
	if ok != accepted {
		t.Fatalf("%.200q: accepted %t, encoding/json %t", body, ok, accepted)
	}
	if ok && !reflect.DeepEqual(want, got) {
		t.Fatalf("%.200q: %#v, encoding/json %#v", body, got, want)
	}
}

// FuzzDecode: any bytes are read, or refused, as encoding/json does it.
func FuzzDecode(f *testing.F) {
	for _, body := range bodies {
		if len(body) < 1_000 {
			f.Add([]byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) { requireSame(t, body) })
}

// BenchmarkDecode compares a page's request with encoding/json.
func BenchmarkDecode(b *testing.B) {
	body := []byte(`{"query":"query($ids: [ID!]!) { stocks(productIds: $ids) { productId quantityAvailable version } }","variables":{"ids":["` +
		strings.Join(strings.Split(strings.Repeat("product-0000001 ", 20), " ")[:20], `","`) + `"]}}`)
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			Decode(body)
		}
	})
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			DecodeValue(body, &graphql.RawParams{})
		}
	})
}
