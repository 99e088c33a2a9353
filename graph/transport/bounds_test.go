package transport

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/transport/admission"
	"onhand/graph/transport/protocol"
	"onhand/graph/transport/wsframe"
	"onhand/models"
)

// handshake sends a WebSocket handshake, and returns the status and the body of its
// refusal. An accepted one is closed.
func (b *testServer) handshake(t *testing.T) (response *http.Response, body string) {
	t.Helper()
	conn, response, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{Subprotocols: []string{protocol.Subprotocol}})
	if err == nil {
		_ = conn.CloseNow()
		return response, ""
	}
	require.NotNil(t, response)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response, string(text)
}

// awaitStreams waits until so many streams are open.
func (b *testServer) awaitStreams(t *testing.T, n int) {
	t.Helper()
	require.Eventually(t, func() bool { return b.closing.open() == n }, patience, time.Millisecond)
}

// TestStreamsAreBounded: a stream above the bound of the instance is refused with 503,
// one above that of its address with 429, before its document is read. WebSockets, event
// streams and tokens count together. A stream that ends makes room.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bounds admission.StreamBounds
		status int
		code   string
		label  string
	}{
		"instance": {admission.StreamBounds{Streams: 3}, http.StatusServiceUnavailable, "UNAVAILABLE", admission.RefusedStream},
		"address":  {admission.StreamBounds{StreamsPerAddress: 3, ByAddress: true}, http.StatusTooManyRequests, "RATE_LIMITED", admission.RefusedByAddress},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newTestServerOn(t, patient, testSettings{bounds: test.bounds})
			p := b.connect(t)
			b.token(t)
			events := b.stream(t, `{"query":"subscription { hello }"}`)
			events.wants(":\n")

			response, body := b.handshake(t)
			assert.Equal(t, test.status, response.StatusCode)
			assert.Contains(t, body, test.code)
			after, err := strconv.Atoi(response.Header.Get("Retry-After"))
			assert.NoError(t, err)
			assert.Positive(t, after)
			status, body := b.ask(t, http.MethodPut, "", "", "")
			assert.Equal(t, test.status, status)
			assert.Contains(t, body, test.code)
			assert.Equal(t, test.status, b.stream(t, `{"query":"{ nothing }"}`).response.StatusCode)
			assert.EqualValues(t, 3, b.closing.Refused()[test.label])

			_ = p.conn.CloseNow()
			b.awaitStreams(t, 2)
			require.Eventually(t, func() bool {
				response, _ := b.handshake(t)
				return response.StatusCode == http.StatusSwitchingProtocols
			}, patience, 10*time.Millisecond)
		})
	}
}

// TestRefusedHandshakeIsNotCounted: a handshake that is refused takes no place.
func TestRefusedHandshakeIsNotCounted(t *testing.T) {
	t.Parallel()
	b := newTestServerOn(t, patient, testSettings{bounds: admission.StreamBounds{Streams: 1}})
	for range 3 {
		_, response, err := websocket.Dial(t.Context(), b.url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}})
		require.Error(t, err)
		require.Equal(t, http.StatusForbidden, response.StatusCode)
	}
	b.connect(t)
}

// TestOperationsOfAnAddressAreBounded: all streams of an address have a bound for their
// operations together. An operation that ends makes room.
func TestOperationsOfAnAddressAreBounded(t *testing.T) {
	t.Parallel()
	b := newTestServerOn(t, patient, testSettings{bounds: admission.StreamBounds{OperationsPerAddress: 3, ByAddress: true}})
	one, two := b.connect(t), b.connect(t)
	one.send(tick)
	one.send(strings.Replace(tick, `"1"`, `"2"`, 1))
	token := b.token(t)
	status, _ := b.ask(t, http.MethodPost, token, "", operationBody("subscription { hello }", "1"))
	require.Equal(t, http.StatusAccepted, status)
	one.send(`{"type":"ping"}`)
	one.wants(`{"type":"pong"}`)

	two.send(tick)
	answer := two.read()
	assert.Contains(t, answer, `{"id":"1","type":"error"`)
	assert.Contains(t, answer, `RATE_LIMITED`)
	status, body := b.ask(t, http.MethodPost, token, "", operationBody("subscription { hello }", "2"))
	assert.Equal(t, http.StatusTooManyRequests, status)
	assert.Contains(t, body, `RATE_LIMITED`)
	assert.Equal(t, http.StatusTooManyRequests, b.stream(t, `{"query":"subscription { hello }"}`).response.StatusCode)
	assert.EqualValues(t, 3, b.closing.Refused()[admission.RefusedOperations])

	one.send(`{"id":"2","type":"complete"}`)
	one.send(`{"type":"ping"}`)
	one.wants(`{"type":"pong"}`)
	two.send(`{"id":"1","type":"subscribe","payload":{"query":"subscription { hello }"}}`)
	two.wants(`{"id":"1","type":"next","payload":{"data":{"hello":"you"}}}`)
}

// TestLargePing: a large payload of a ping is not sent back.
func TestLargePing(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	payload := func(bytes int) string {
		return `{"x":"` + strings.Repeat("x", bytes-len(`{"x":""}`)) + `"}`
	}
	p.send(`{"type":"ping","payload":` + payload(protocol.PongBytesMax) + `}`)
	p.wants(`{"type":"pong","payload":` + payload(protocol.PongBytesMax) + `}`)
	p.send(`{"type":"ping","payload":` + payload(protocol.PongBytesMax+1) + `}`)
	p.wants(`{"type":"pong"}`)
}

// TestMessageSize: a message of 64 KiB is handled, a larger one ends the connection with
// 1009.
func TestMessageSize(t *testing.T) {
	t.Parallel()
	p := newTestServer(t, patient).connect(t)
	const head, tail = `{"type":"ping","payload":{"x":"`, `"}}`
	p.send(head + strings.Repeat("x", 64<<10-len(head)-len(tail)) + tail)
	p.wants(`{"type":"pong"}`)
	p.send(head + strings.Repeat("x", 64<<10-len(head)-len(tail)+1) + tail)
	code, _ := p.closed()
	assert.Equal(t, websocket.StatusMessageTooBig, code)
}

// TestMessagesPerSecond: a client that sends too many messages waits for each, and gets
// every answer.
func TestMessagesPerSecond(t *testing.T) {
	t.Parallel()
	const perSecond, messages = 100, admission.BurstSeconds*100 + 20
	b := newTestServerOn(t, patient, testSettings{bounds: admission.StreamBounds{MessagesPerSecond: perSecond}})
	p := b.connect(t)
	began := time.Now()
	go func() {
		for range messages {
			_ = p.conn.Write(context.Background(), websocket.MessageText, []byte(`{"type":"ping"}`))
		}
	}()
	for range messages {
		p.wants(`{"type":"pong"}`)
	}
	assert.GreaterOrEqual(t, time.Since(began), 150*time.Millisecond)
	assert.Positive(t, b.closing.Delayed())
}

// TestFlood: a client that goes on sending too many messages is cut off with 1008,
// whatever the messages are.
func TestFlood(t *testing.T) {
	t.Parallel()
	for name, message := range map[string]string{
		"messages": frame(`{"type":"ping"}`), "completes": frame(`{"type":"complete","id":"x"}`), "pings of RFC 6455": "\x89\x80\x00\x00\x00\x00",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			limits := patient
			limits.flood = 50 * time.Millisecond
			b := newTestServerOn(t, limits, testSettings{bounds: admission.StreamBounds{MessagesPerSecond: 100}})
			conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`), 64<<10)
			go func() {
				for {
					if _, err := io.WriteString(conn, strings.Repeat(message, 100)); err != nil {
						return
					}
				}
			}()
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
			all, _ := io.ReadAll(conn) // the connection ends with a reset, as the client sends on
			assert.Contains(t, string(all), "\x03\xf0too many messages")
			assert.EqualValues(t, 1, b.closing.Closes()["1008"])
		})
	}
}

// TestLifetime: streams end after their lifetime so that clients connect again, WebSockets
// with 1012, event streams without "complete". A query in flight is answered first, within
// a minute.
func TestLifetime(t *testing.T) {
	t.Parallel()
	limits := patient
	limits.ping, limits.keepAlive, limits.lifetime = time.Hour, time.Hour, 15*time.Second
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		b := newTestServerOn(t, limits, testSettings{virtual: true})
		events, p := b.stream(t, `{"query":"subscription { tick }"}`), b.connect(t)
		events.wants(":\n")
		p.send(tick)
		assert.Empty(t, events.rest())
		code, types := p.closed()
		assert.Equal(t, websocket.StatusServiceRestart, code)
		assert.Empty(t, types)
		assert.LessOrEqual(t, time.Since(began), 20*time.Second)

		p, forgotten := b.connect(t), b.connect(t)
		const query = `{"id":"q","type":"subscribe","payload":{"query":"{ awaited }"}}`
		p.send(query)
		time.Sleep(2 * limits.lifetime)
		b.send(t, "late")
		code, types = p.closed()
		assert.Equal(t, websocket.StatusServiceRestart, code)
		assert.Equal(t, []string{"next", "complete"}, types)
		forgotten.closed()

		forgotten = b.connect(t)
		forgotten.send(query)
		time.Sleep(limits.lifetime + answersWithin)
		code, types = forgotten.closed()
		assert.Equal(t, websocket.StatusServiceRestart, code)
		assert.Empty(t, types)
		b.send(t, "too late") // its operation ends
	})
}

// TestConnectTakesTooLong: the decision on a connection has a bound.
func TestConnectTakesTooLong(t *testing.T) {
	t.Parallel()
	b := newTestServerOn(t, quick, testSettings{admit: func(ctx context.Context, _ json.RawMessage) (context.Context, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	p := b.dial(t, protocol.Subprotocol)
	p.send(`{"type":"connection_init"}`)
	code, types := p.closed()
	assert.Equal(t, websocket.StatusCode(4408), code)
	assert.Empty(t, types)
}

// TestStuckClientGetsTheCode: a client that did not read, and reads again after it was cut
// off, finds whole messages and close code 1013.
func TestStuckClientGetsTheCode(t *testing.T) {
	t.Parallel()
	limits := patient
	limits.write = quick.write
	b := newTestServer(t, limits)
	conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+frame(pushedMessage("1")), 4096)
	s := b.source(t)
	value := strings.Repeat("x", 4<<10)
	for open := true; open; {
		s.put(value)
		select {
		case <-s.closed:
			open = false
		case <-time.After(time.Millisecond):
		}
	}
	b.awaitStreams(t, 0)
	assert.EqualValues(t, 1, b.closing.Closes()["1013"])
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(1<<20)) // it reads fast now
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	_, frames, _ := strings.Cut(string(all), "\r\n\r\n")
	whole := string(wsframe.AppendText(nil, pushedNext("1", value)))
	count := strings.Count(frames, whole)
	assert.Greater(t, count, 5)
	assert.True(t, strings.HasSuffix(frames, whole+"\x88\x1a\x03\xf5the client does not read"), "%q", frames[len(frames)-100:])
}

// TestHalfMessage: a client that sends a part of a message and nothing else is cut off,
// because it cannot answer a ping.
func TestHalfMessage(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, quick)
	conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+
		"\x81\xfe\x80\x00\x00\x00\x00\x00"+strings.Repeat("x", 1000), 4096)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	all, err := io.ReadAll(conn)
	require.NoError(t, err)
	assert.Contains(t, string(all), "\x03\xf5the client does not read")
}

// TestWebSocketIsSmall: an idle socket takes one goroutine and little memory, also after
// traffic, and all of it is free when the sockets have closed.
func TestWebSocketIsSmall(t *testing.T) {
	b := newTestServer(t, patient) // not parallel: it counts what the process has
	const sockets = 300
	measure := func() (goroutines int, bytes uint64) {
		for range 3 { // a stack shrinks by half each time
			runtime.GC()
		}
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapInuse + m.StackInuse
	}
	goroutines, bytes := measure()
	conns := make([]net.Conn, sockets)
	for i := range conns {
		conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+
			frame(`{"id":"1","type":"subscribe","payload":{"query":"{ name }"}}`), 4096)
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
		var answer []byte
		for !strings.HasSuffix(string(answer), `"complete"}`) {
			var b [1]byte
			_, err := io.ReadFull(conn, b[:])
			require.NoError(t, err)
			answer = append(answer, b[0])
		}
		conns[i] = conn
	}
	assert.Equal(t, sockets, b.closing.Sockets())
	moreGoroutines, moreBytes := measure()
	assert.LessOrEqual(t, moreGoroutines-goroutines, sockets+5)
	assert.Less(t, (moreBytes-bytes)/sockets, uint64(12<<10), "bytes a socket, the client's end included")
	for _, conn := range conns {
		require.NoError(t, conn.Close())
	}
	b.closing.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	assert.True(t, b.closing.Wait(ctx))
	assert.Zero(t, b.closing.Sockets())
}

// TestLongMessageWithoutQuota: the operation of a long message that the caller's quota
// refuses gets an error, and its id is free again. A repeated id still ends the
// connection: an error would end the operation that has it.
func TestLongMessageWithoutQuota(t *testing.T) {
	t.Parallel()
	b := newTestServerOn(t, patient, testSettings{charge: func(context.Context, int64) error {
		return &models.Fault{Code: models.CodeRateLimited, Message: "wait"}
	}})
	p := b.connect(t)
	long := func(id string) string {
		return `{"id":"` + id + `","type":"subscribe","payload":{"query":"subscription { pushed }` + strings.Repeat(" ", guard.FreeBytes) + `"}}`
	}
	for range 2 {
		p.send(long("1"))
		refused := p.read()
		require.Contains(t, refused, `"type":"error"`)
		require.Contains(t, refused, "wait")
	}
	p.send(pushedMessage("2"))
	b.source(t)
	p.send(long("2"))
	code, types := p.closed()
	require.EqualValues(t, 4409, code)
	require.NotContains(t, types, "error")
}
