package transport

import (
	"io"
	"net"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWhatWaitsForAClientIsBounded: for one that reads nothing the kernel takes a
// part of the first event, not megabytes of what will be old when it is read.
func TestWhatWaitsForAClientIsBounded(t *testing.T) {
	t.Parallel()
	for kind, request := range floodRequests {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			limits := patient
			limits.write = quick.write
			b := newBench(t, limits)
			b.flooded(t, request, 4096)
			b.floodEnded(t)
			assert.Positive(t, b.given.Load())
			assert.LessOrEqual(t, b.given.Load(), int64(2), "one that is being written, one that is ready")
		})
	}
}

// floodRequests ask for a flood, as bytes on a connection.
var floodRequests = map[string]string{
	"event stream": "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: 34\r\n\r\n" +
		`{"query":"subscription { flood }"}`,
	"socket": "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(`{"type":"connection_init"}`) +
		frame(`{"id":"1","type":"subscribe","payload":{"query":"subscription { flood }"}}`),
}

// flooded is a connection that asked for a flood, of a client that keeps so much of
// what it has not read.
func (b *bench) flooded(t *testing.T, request string, buffer int) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(b.url, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.(*net.TCPConn).SetReadBuffer(buffer))
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	return conn
}

// frame is a text message of a client in a WebSocket frame, with a mask of zeros.
func frame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text))}) + "\x00\x00\x00\x00" + text
}
