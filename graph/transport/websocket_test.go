package transport

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport/protocol"
	"onhand/models"
)

const tick = `{"id":"1","type":"subscribe","payload":{"query":"subscription { tick }"}}`

// TestWebSocketSubscription: acknowledgement, results, and "complete" after the last.
func TestWebSocketSubscription(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	p.send(tick)
	b.send(t, "one")
	p.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"one"}}}`)
	b.send(t, "two")
	p.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"two"}}}`)
	close(b.ticks)
	p.wants(`{"id":"1","type":"complete"}`)
}

// TestWebSocketQuery: one result, then "complete". The id may be any text, and may be
// used again.
func TestWebSocketQuery(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	for range 3 {
		p.send(`{"id":"käse \" 1","type":"subscribe","payload":{"query":"query N { name }","operationName":"N","variables":null,"extensions":{}}}`)
		p.wants(`{"id":"käse \" 1","type":"next","payload":{"data":{"name":"onhand"}}}`)
		p.wants(`{"id":"käse \" 1","type":"complete"}`)
	}
}

// TestWebSocketPing: a ping is answered at any time, with its payload.
func TestWebSocketPing(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).dial(t, protocol.Subprotocol)
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
	p.send(`{"type":"pong"}`)
	p.send(`{"type":"connection_init","payload":{"token":"x"}}`)
	p.wants(`{"type":"connection_ack"}`)
	p.send(`{"type":"pong","payload":{"unasked":true}}`)
	p.send(`{"type":"ping","payload":{"at":1}}`)
	p.wants(`{"type":"pong","payload":{"at":1}}`)
}

// TestWebSocketRefusal: "error" is the last message of an operation. The connection
// stays open, and the id may be used again.
func TestWebSocketRefusal(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	for range 2 {
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ nothing }"}}`)
		answer := p.read()
		assert.Contains(t, answer, `"type":"error"`)
		assert.Contains(t, answer, `Cannot query field`)
	}
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
}

// TestWebSocketClientCompletes: after the client's "complete", the server sends no more
// messages of that operation.
func TestWebSocketClientCompletes(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	p.send(`{"id":"f","type":"subscribe","payload":{"query":"subscription { flood }"}}`)
	require.Contains(t, p.read(), "flood")
	p.send(`{"id":"f","type":"complete"}`)
	p.send(`{"type":"ping"}`)
	for text := p.read(); text != `{"type":"pong"}`; text = p.read() {
		require.Contains(t, text, `"type":"next"`) // was in flight
	}
	b.floodEnded(t)
	p.send(`{"id":"f","type":"complete"}`)
	p.send(`{"id":"never","type":"complete"}`)
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
}

// TestWebSocketIDReuse: after its "complete" the client may use the id again at once,
// and messages of the first operation do not reach the next.
func TestWebSocketIDReuse(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	for range 200 {
		p.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { hello }"}}`)
		p.wants(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`)
		p.send(`{"id":"1","type":"complete"}`)
	}
}

// TestWebSocketOperationsAreBounded: operations above the bound are refused, and the
// connection stays open.
func TestWebSocketOperationsAreBounded(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	for i := range operationsMax + 1 {
		p.send(strings.Replace(tick, `"1"`, `"`+strconv.Itoa(i)+`"`, 1))
	}
	answer := p.read()
	assert.Contains(t, answer, `{"id":"256","type":"error"`)
	assert.Contains(t, answer, `RATE_LIMITED`)
	p.send(`{"id":"5","type":"complete"}`)
	p.send(`{"id":"q","type":"subscribe","payload":{"query":"{ name }"}}`)
	p.wants(`{"id":"q","type":"next","payload":{"data":{"name":"onhand"}}}`)
	p.wants(`{"id":"q","type":"complete"}`)

	other := b.connect(t) // each WebSocket has a bound of its own
	other.send(tick)
	other.send(`{"type":"ping"}`)
	other.wants(`{"type":"pong"}`)
}

// TestWebSocketViolations: each violation of the protocol ends the connection with the
// protocol's close code.
func TestWebSocketViolations(t *testing.T) {
	t.Parallel()
	const initMessage = `{"type":"connection_init"}`
	for name, test := range map[string]struct {
		code int
		send []string
	}{
		"subscribe before init":   {4401, []string{tick}},
		"two inits":               {4429, []string{initMessage, initMessage}},
		"id in use":               {4409, []string{initMessage, tick, tick}},
		"long id in use":          {4409, []string{initMessage, strings.Replace(tick, `"1"`, `"`+strings.Repeat("é", 300)+`"`, 1), strings.Replace(tick, `"1"`, `"`+strings.Repeat("é", 300)+`"`, 1)}},
		"no JSON":                 {4400, []string{`text`}},
		"no JSON after init":      {4400, []string{initMessage, `{"type":`}},
		"empty message":           {4400, []string{``}},
		"two messages at once":    {4400, []string{initMessage + initMessage}},
		"a list":                  {4400, []string{`[]`}},
		"null":                    {4400, []string{`null`}},
		"no type":                 {4400, []string{initMessage, `{}`}},
		"type is a number":        {4400, []string{initMessage, `{"type":1}`}},
		"unknown type":            {4400, []string{initMessage, `{"type":"` + strings.Repeat("é", 300) + `"}`}},
		"the older protocol":      {4400, []string{initMessage, `{"type":"start","id":"1"}`}},
		"a server's message":      {4400, []string{initMessage, `{"type":"next","id":"1"}`}},
		"type in capitals":        {4400, []string{initMessage, `{"TYPE":"ping"}`}},
		"complete without id":     {4400, []string{initMessage, `{"type":"complete"}`}},
		"complete with a number":  {4400, []string{initMessage, `{"type":"complete","id":1}`}},
		"an empty id":             {4400, []string{initMessage, `{"type":"subscribe","id":"","payload":{"query":"{ name }"}}`}},
		"query is null":           {4400, []string{initMessage, `{"type":"subscribe","id":"1","payload":{"query":null}}`}},
		"operation is a number":   {4400, []string{initMessage, `{"type":"subscribe","id":"1","payload":{"query":"{ name }","operationName":1}}`}},
		"init with text":          {4400, []string{`{"type":"connection_init","payload":"x"}`}},
		"ping with a number":      {4400, []string{`{"type":"ping","payload":1}`}},
		"pong with a list":        {4400, []string{initMessage, `{"type":"pong","payload":[]}`}},
		"subscribe without id":    {4400, []string{initMessage, `{"type":"subscribe","payload":{"query":"{ name }"}}`}},
		"subscribe with a number": {4400, []string{initMessage, `{"type":"subscribe","id":1,"payload":{"query":"{ name }"}}`}},
		"subscribe to nothing":    {4400, []string{initMessage, `{"type":"subscribe","id":"1"}`}},
		"subscribe to null":       {4400, []string{initMessage, `{"type":"subscribe","id":"1","payload":null}`}},
		"subscribe without query": {4400, []string{initMessage, `{"type":"subscribe","id":"1","payload":{}}`}},
		"variables are a list":    {4400, []string{initMessage, `{"type":"subscribe","id":"1","payload":{"query":"{ name }","variables":[]}}`}},
		"too large":               {1009, []string{initMessage, `{"type":"ping","payload":{"x":"` + strings.Repeat("x", messageBytesMax) + `"}}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newTestServer(t, patient).dial(t, protocol.Subprotocol)
			for _, text := range test.send {
				p.send(text)
			}
			code, types := p.closed()
			assert.Equal(t, websocket.StatusCode(test.code), code)
			assert.NotContains(t, types, "complete")
		})
	}
}

// TestWebSocketInitTimeout: a client that sends no connection_init is cut off after 5 s.
func TestWebSocketInitTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		p := newTestServerOn(t, defaultLimits, testSettings{virtual: true}).dial(t, protocol.Subprotocol)
		code, types := p.closed()
		assert.Equal(t, websocket.StatusCode(4408), code)
		assert.Empty(t, types)
		assert.InDelta(t, 5, time.Since(began).Seconds(), 1)
	})
}

// TestWebSocketSubprotocol: any other protocol.Subprotocol, or none, ends with 4406. The
// supported one is accepted in any case.
func TestWebSocketSubprotocol(t *testing.T) {
	t.Parallel()
	for _, protocols := range [][]string{nil, {"graphql-ws"}, {"mqtt", "graphql-ws"}} {
		code, _ := newTestServer(t, patient).dial(t, protocols...).closed()
		assert.Equal(t, websocket.StatusCode(4406), code, "%v", protocols)
	}
	p := newTestServer(t, patient).dial(t, "graphql-ws", "GraphQL-Transport-WS")
	p.send(`{"type":"connection_init"}`)
	p.wants(`{"type":"connection_ack"}`)
}

// TestWebSocketSilentClient: a client that answers no ping is cut off after 20 s, and a
// client that does is not.
func TestWebSocketSilentClient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestServerOn(t, defaultLimits, testSettings{virtual: true})
		talker, silent := b.connect(t), b.connect(t)
		began := time.Now()
		var silence time.Duration
		go func() {
			code, types := silent.closed()
			silence = time.Since(began)
			assert.Equal(t, websocket.StatusTryAgainLater, code)
			assert.GreaterOrEqual(t, len(types), 2, "pings")
		}()
		for range 8 {
			talker.wants(`{"type":"ping"}`)
			talker.send(`{"type":"pong"}`)
		}
		assert.InDelta(t, 30, silence.Seconds(), 2, "the first ping comes after 10 s")
	})
}

// TestWebSocketStuckClient: a client that stops reading is cut off after the write
// deadline, and other clients continue.
func TestWebSocketStuckClient(t *testing.T) {
	t.Parallel()
	limits := patient
	limits.write = quick.write
	b := newTestServer(t, limits)
	stuck, other := b.connect(t), b.connect(t)
	other.send(tick)
	stuck.send(`{"id":"f","type":"subscribe","payload":{"query":"subscription { flood }"}}`)
	b.send(t, "during")
	other.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"during"}}}`)
	b.floodEnded(t)
	b.send(t, "after")
	other.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"after"}}}`)
	code, _ := stuck.closed()
	assert.Equal(t, websocket.StatusCode(-1), code, "no close frame fits")
}

// TestWebSocketServerStops: connections end with close code 1012 and without "complete",
// so that clients reconnect, also before connection_init.
func TestWebSocketServerStops(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	idle, initialised, watching := b.dial(t, protocol.Subprotocol), b.connect(t), b.connect(t)
	watching.send(tick)
	b.send(t, "one")
	watching.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"one"}}}`)
	b.closing.Close()
	b.closing.Close() // a second call does nothing
	for name, p := range map[string]*peer{"idle": idle, "initialised": initialised, "watching": watching, "late": b.dial(t, protocol.Subprotocol)} {
		code, types := p.closed()
		assert.Equal(t, websocket.StatusServiceRestart, code, name)
		assert.Empty(t, types, name)
	}
}

// TestClosingWait: a server that stops waits until all clients have left, but no longer
// than its context allows.
func TestClosingWait(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	leaves, stays := b.connect(t), b.connect(t)
	b.closing.Close()
	leaves.closed()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	assert.False(t, b.closing.Wait(short), "one client is still connected")
	stays.closed()
	long, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	assert.True(t, b.closing.Wait(long))
}

// TestWebSocketClientLeaves: its operations end, with any close code or none.
func TestWebSocketClientLeaves(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	for i, leave := range []func(*websocket.Conn) error{
		(*websocket.Conn).CloseNow,
		func(c *websocket.Conn) error { return c.Close(websocket.StatusNormalClosure, "") },
		func(c *websocket.Conn) error { return c.Close(websocket.StatusGoingAway, "bye") },
		func(c *websocket.Conn) error { return c.Close(4999, "my own") },
	} {
		p := b.connect(t)
		p.send(tick)
		p.send(`{"id":"f","type":"subscribe","payload":{"query":"subscription { flood }"}}`)
		assert.Contains(t, p.read(), `flood`)
		if i > 0 { // the closing handshake needs a reader
			go func() {
				for {
					if _, err := p.next(); err != nil {
						return
					}
				}
			}()
		}
		_ = leave(p.conn)
		b.floodEnded(t)
	}
}

// TestWebSocketHandshakeRefused: a refusal is written once, in GraphQL's form, with the
// right status.
func TestWebSocketHandshakeRefused(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	key := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	for name, test := range map[string]struct {
		header, value string
		status        int
		code          string
	}{
		"foreign origin":  {"Origin", "https://evil.example", http.StatusForbidden, "FORBIDDEN"},
		"null origin":     {"Origin", "null", http.StatusForbidden, "FORBIDDEN"},
		"old version":     {"Sec-Websocket-Version", "8", http.StatusBadRequest, "BAD_USER_INPUT"},
		"no key":          {"Sec-Websocket-Key", "", http.StatusBadRequest, "BAD_USER_INPUT"},
		"another upgrade": {"Upgrade", "h2c", http.StatusUpgradeRequired, "BAD_USER_INPUT"},
		"no upgrade":      {"Connection", "keep-alive", http.StatusUpgradeRequired, "BAD_USER_INPUT"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url, http.NoBody)
			require.NoError(t, err)
			r.Header = key.Clone()
			r.Header.Set(test.header, test.value)
			response, err := http.DefaultClient.Do(r)
			require.NoError(t, err)
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			assert.Equal(t, test.status, response.StatusCode)
			assert.Equal(t, "application/json; charset=utf-8", response.Header.Get("Content-Type"))
			var answer struct {
				Errors []struct{ Extensions struct{ Code string } }
			}
			require.NoError(t, json.Unmarshal(body, &answer), "not one JSON document: %s", body)
			require.Len(t, answer.Errors, 1)
			assert.Equal(t, test.code, answer.Errors[0].Extensions.Code)
		})
	}
	conn, response, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{
		Subprotocols: []string{protocol.Subprotocol}, HTTPHeader: http.Header{"Origin": {"https://friend.example"}},
	})
	require.NoError(t, err, "a page of an allowed origin")
	assert.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	_ = conn.CloseNow()
}

// TestWebSocketConnect: the server decides on a connection by the payload of
// connection_init. A refused connection, and one whose context ends, gets 4403; one on which
// the server cannot decide now, or of a caller that has used up a quota, gets 1013.
func TestWebSocketConnect(t *testing.T) {
	t.Parallel()
	type tokenKey struct{}
	revoke := map[string]context.CancelFunc{}
	b := newTestServerOn(t, patient, testSettings{admit: func(ctx context.Context, payload json.RawMessage) (context.Context, error) {
		var given struct{ Token string }
		if json.Unmarshal(payload, &given) == nil && given.Token == "later" {
			return nil, models.Unavailable("try again", nil)
		}
		if given.Token == "many" {
			return nil, &models.Fault{Code: models.CodeRateLimited, Message: "too many tokens"}
		}
		if json.Unmarshal(payload, &given) != nil || given.Token == "" {
			return nil, errors.New("no token")
		}
		ctx, cancel := context.WithCancel(context.WithValue(ctx, tokenKey{}, given.Token))
		revoke[given.Token] = cancel
		return ctx, nil
	}})
	for text, want := range map[string]websocket.StatusCode{
		`{"type":"connection_init"}`: 4403, `{"type":"connection_init","payload":{"token":""}}`: 4403,
		`{"type":"connection_init","payload":{"token":"later"}}`: websocket.StatusTryAgainLater,
		`{"type":"connection_init","payload":{"token":"many"}}`:  websocket.StatusTryAgainLater,
	} {
		p := b.dial(t, protocol.Subprotocol)
		p.send(text)
		code, types := p.closed()
		assert.Equal(t, want, code)
		assert.Empty(t, types)
	}
	p := b.dial(t, protocol.Subprotocol)
	p.send(`{"type":"connection_init","payload":{"token":"a"}}`)
	p.wants(`{"type":"connection_ack"}`)
	p.send(tick)
	b.send(t, "one")
	p.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"one"}}}`)
	revoke["a"]()
	code, types := p.closed()
	assert.Equal(t, websocket.StatusCode(4403), code)
	assert.Empty(t, types)
}

// TestWebSocketPanic: an operation that panics ends with "error", which hides the cause.
// The connection stays open.
func TestWebSocketPanic(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	p.send(`{"id":"1","type":"subscribe","payload":{"query":"{ panics }"}}`)
	answer := p.read()
	assert.Contains(t, answer, `{"id":"1","type":"error","payload":[{"message":`)
	assert.NotContains(t, answer, "boom")
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
}

// TestWebSocketFrames: violations of RFC 6455 itself have its close codes, and messages
// are text.
func TestWebSocketFrames(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	for want, send := range map[int]string{
		4400: "\x82\x80\x00\x00\x00\x00",                                 // binary
		1002: "\xc1\x80\x00\x00\x00\x00",                                 // a reserved bit
		1007: "\x81\x81\x00\x00\x00\x00\xff",                             // invalid UTF-8
		1000: "\x88\x82\x00\x00\x00\x00\x03\xe8",                         // the client leaves
		1009: "\x81\xff\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00", // too large
	} {
		conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+send, 4096)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		all, err := io.ReadAll(conn)
		require.NoError(t, err)
		_, frames, found := strings.Cut(string(all), "\r\n\r\n")
		require.True(t, found)
		require.GreaterOrEqual(t, len(frames), 4)
		assert.Equal(t, "\x88", frames[:1])
		assert.Equal(t, want, int(frames[2])<<8|int(frames[3]))
		require.NoError(t, conn.Close())
	}
}
