package protocol

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport/wsframe"
)

// TestParseMessage: what the specification allows is read, and everything else is 4400.
func TestParseMessage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Message{
		`{"type":"connection_init"}`:                             {Type: "connection_init"},
		`{"type":"connection_init","payload":null}`:              {Type: "connection_init", Payload: []byte("null")},
		`{"type":"ping","payload":{"a":1}}`:                      {Type: "ping", Payload: []byte(`{"a":1}`)},
		`{"type":"complete","id":"ä","more":1}`:                  {Type: "complete", ID: "ä"},
		` { "id" : "1" , "type" : "subscribe" , "payload":{} } `: {Type: "subscribe", ID: "1", Payload: []byte("{}")},
	} {
		m, err := Parse([]byte(text))
		require.NoError(t, err, text)
		assert.Equal(t, want, m, text)
	}
	for _, text := range []string{
		``, `null`, `[]`, `"ping"`, `{}`, `{"type":null}`, `{"type":1}`, `{"Type":"ping"}`, `{"type":"ping"}{}`, `{"type":"PING"}`,
		`{"type":"connection_ack"}`, `{"type":"next","id":"1"}`, `{"type":"error","id":"1","payload":[]}`, `{"type":"start","id":"1"}`,
		`{"type":"ping","payload":[]}`, `{"type":"pong","payload":"x"}`, `{"type":"connection_init","payload":true}`,
		`{"type":"complete"}`, `{"type":"complete","id":""}`, `{"type":"complete","id":null}`, `{"type":"subscribe","ID":"1","payload":{}}`,
	} {
		_, err := Parse([]byte(text))
		requireBad(t, err, text)
	}
}

func requireBad(t *testing.T, err error, text string) {
	t.Helper()
	var end wsframe.CloseError
	require.True(t, errors.As(err, &end), text)
	assert.Equal(t, badMessage, end.Code, text)
	assert.NotEmpty(t, end.Reason, text)
}

// TestParseSubscribe: a payload has a document or names one, and its members have their
// types. An empty document is for the executor to refuse.
func TestParseSubscribe(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"query":"{ a }"}`, `{"query":""}`, `{"query":"{ a }","operationName":null,"variables":null,"extensions":null}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"x"}}}`, `{"documentId":"sha256:x"}`,
	} {
		params, err := ParseSubscribe([]byte(text))
		require.NoError(t, err, text)
		assert.Nil(t, params.Headers)
	}
	for _, text := range []string{
		``, `null`, `[]`, `"{ a }"`, `{}`, `{"query":null}`, `{"query":1}`, `{"Query":""}`, `{"query":"{ a }","variables":[]}`,
		`{"query":"{ a }","operationName":1}`, `{"query":"{ a }","extensions":"x"}`, `{"extensions":{}}`, `{"documentId":1}`,
	} {
		_, err := ParseSubscribe([]byte(text))
		requireBad(t, err, text)
	}
	params, err := ParseSubscribe([]byte(`{"query":"{ a }","headers":{"X-Forwarded-For":["192.0.2.1"]}}`))
	require.NoError(t, err)
	assert.Empty(t, params.Headers, "a client sets no headers in a message")
}

// TestAppendPong: only a small payload is sent back.
func TestAppendPong(t *testing.T) {
	t.Parallel()
	assert.Equal(t, Pong, string(AppendPong(nil, nil)))
	assert.JSONEq(t, `{"type":"pong","payload":{"a":1}}`, string(AppendPong(nil, []byte(`{"a":1}`))))
	assert.Equal(t, Pong, string(AppendPong(nil, []byte(`{"a":"`+strings.Repeat("x", PongBytesMax)+`"}`))))
}
