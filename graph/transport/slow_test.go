package transport

import (
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSendBufferIsBounded: for a client that reads nothing, the kernel buffers a part
// of the first event, not megabytes of events.
func TestSendBufferIsBounded(t *testing.T) {
	t.Parallel()
	for kind, request := range floodRequests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			limits := patient
			limits.write = quick.write
			b := newTestServer(t, limits)
			b.dialFlood(t, request, 4096)
			b.floodEnded(t)
			assert.Positive(t, b.flooded.Load())
			assert.LessOrEqual(t, b.flooded.Load(), int64(2), "one event in flight and one ready")
		})
	}
}

// floodRequests subscribe to flood, as bytes on a connection.
var floodRequests = map[string]string{
	"event stream": "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: 34\r\n\r\n" +
		`{"query":"subscription { flood }"}`,
	"socket": "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(`{"type":"connection_init"}`) +
		frame(`{"id":"1","type":"subscribe","payload":{"query":"subscription { flood }"}}`),
}

// dialFlood returns the connection of a client that subscribed to flood, with a receive
// buffer of so many bytes.
func (b *testServer) dialFlood(t *testing.T, request string, buffer int) net.Conn {
	t.Helper()
	if b.pipes != nil { // without a buffer
		conn, err := b.pipes.dial()
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		return conn
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(buffer))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	return conn
}

// frame returns a client's text message as a WebSocket frame, masked with zeros.
func frame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text))}) + "\x00\x00\x00\x00" + text
}

// TestSlowClientGetsLargeMessages: a client that keeps reading is not cut off when one
// message takes longer than the write deadline.
func TestSlowClientGetsLargeMessages(t *testing.T) {
	t.Parallel()
	const step, every = 1 << 10, 30 * time.Millisecond // a message takes half a minute, a piece half a second
	for kind, request := range floodRequests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				limits := patient
				limits.write, limits.message = time.Second, time.Minute
				slow := newTestServerOn(t, limits, testSettings{virtual: true}).dialFlood(t, request, 0)
				for read := 0; read < 2*floodBytes; read += step {
					_, err := io.CopyN(io.Discard, slow, step)
					require.NoError(t, err, "after %d bytes", read)
					time.Sleep(every)
				}
			})
		})
	}
}
