package wsframe

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

// TestMain fails on leaked goroutines.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds how long a test waits for an event.
const patience = 20 * time.Second

const messageBytesMax = 1 << 20

// echo is a server that sends back each message, answers pings, and closes a connection
// as Next's error says.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := Accept(w, r, Handshake{Protocol: "echo", Allows: func(r *http.Request) bool { return r.Header.Get("Origin") != "https://evil.example" }, BytesMax: messageBytesMax})
		var refused Refusal
		if errors.As(err, &refused) {
			w.WriteHeader(refused.Status)
		}
		if err == nil {
			go answerAll(c)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

func answerAll(c *Conn) {
	defer c.Close()
	for {
		kind, data, err := c.Next()
		if err != nil {
			closed, ok := errors.AsType[CloseError](err)
			if !ok {
				return
			}
			_, _ = c.Write(AppendClose(nil, closed), patience, patience)
			c.EndWrites()
			c.Discard(time.Now().Add(patience))
			return
		}
		frame := appendHeader(nil, opText+byte(kind), len(data))
		if kind == Ping {
			frame = AppendPong(nil, data)
		} else {
			frame = append(frame, data...)
		}
		if _, err := c.Write(frame, patience, patience); err != nil {
			return
		}
		c.Release()
	}
}

// client is the bytes of a client's frames.
type client []byte

// frame appends a masked frame.
func (c client) frame(first byte, payload string) client {
	mask := []byte{0x37, 0xfa, 0x21, 0x3d}
	c = append(c, first)
	switch n := len(payload); {
	case n < 126:
		c = append(c, 0x80|byte(n))
	case n < 1<<16:
		c = binary.BigEndian.AppendUint16(append(c, 0x80|126), uint16(n))
	default:
		c = binary.BigEndian.AppendUint64(append(c, 0x80|127), uint64(n))
	}
	c = append(c, mask...)
	for i := range len(payload) {
		c = append(c, payload[i]^mask[i%4])
	}
	return c
}

// frames appends so many empty frames.
func (c client) frames(n int, first byte) client {
	for range n {
		c = c.frame(first, "")
	}
	return c
}

// serverFrame is one frame of the server.
type serverFrame struct {
	opcode  byte
	payload string
}

func readFrame(r io.Reader) (f serverFrame, err error) {
	var head [2]byte
	if _, err = io.ReadFull(r, head[:]); err != nil {
		return f, err
	}
	if head[0]&0xF0 != 0x80 || head[1]&0x80 != 0 {
		return f, fmt.Errorf("not a whole, unmasked frame: %x", head)
	}
	n := uint64(head[1])
	switch n {
	case 126:
		var b [2]byte
		_, err = io.ReadFull(r, b[:])
		n = uint64(binary.BigEndian.Uint16(b[:]))
	case 127:
		var b [8]byte
		_, err = io.ReadFull(r, b[:])
		n = binary.BigEndian.Uint64(b[:])
	}
	if err != nil {
		return f, err
	}
	payload := make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return serverFrame{head[0] & 0xF, string(payload)}, err
}

func handshakeBytes(extra string) string {
	return "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + extra + "\r\n"
}

// talk sends frames in writes of so many bytes, and returns what the server answers.
func talk(t *testing.T, server *httptest.Server, frames client, step int) []serverFrame {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = io.WriteString(conn, handshakeBytes(""))
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusSwitchingProtocols, response.StatusCode)
	require.Equal(t, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", response.Header.Get("Sec-WebSocket-Accept"))
	go func() {
		for len(frames) > 0 {
			n := min(step, len(frames))
			if _, err := conn.Write(frames[:n]); err != nil {
				return
			}
			frames = frames[n:]
		}
	}()
	var answers []serverFrame
	for {
		f, err := readFrame(r)
		if errors.Is(err, io.EOF) {
			return answers
		}
		require.NoError(t, err)
		if answers = append(answers, f); f.opcode == opClose {
			return answers
		}
	}
}

func closeFrame(code uint16, reason string) string {
	return string(binary.BigEndian.AppendUint16(nil, code)) + reason
}

// TestConformance: what the server answers to each case of RFC 6455, whether the bytes
// arrive at once, one by one, or in between.
func TestConformance(t *testing.T) {
	t.Parallel()
	const final = 0x80
	text := func(s string) serverFrame { return serverFrame{opText, s} }
	pong := func(s string) serverFrame { return serverFrame{opPong, s} }
	closed := func(code uint16) serverFrame { return serverFrame{opClose, closeFrame(code, "")} }
	goodbye := func(c client) client { return c.frame(final|opClose, closeFrame(1000, "")) }
	utf := "Hello-µ@ßöäüàá-UTF-8!!κόσμε"
	for name, test := range map[string]struct {
		send client
		want []serverFrame
	}{
		"text":             {goodbye(client{}.frame(final|opText, "hello")), []serverFrame{text("hello"), closed(1000)}},
		"empty text":       {goodbye(client{}.frame(final|opText, "")), []serverFrame{text(""), closed(1000)}},
		"125 bytes":        {goodbye(client{}.frame(final|opText, strings.Repeat("a", 125))), []serverFrame{text(strings.Repeat("a", 125)), closed(1000)}},
		"126 bytes":        {goodbye(client{}.frame(final|opText, strings.Repeat("a", 126))), []serverFrame{text(strings.Repeat("a", 126)), closed(1000)}},
		"65535 bytes":      {goodbye(client{}.frame(final|opText, strings.Repeat("b", 65535))), []serverFrame{text(strings.Repeat("b", 65535)), closed(1000)}},
		"65536 bytes":      {goodbye(client{}.frame(final|opText, strings.Repeat("b", 65536))), []serverFrame{text(strings.Repeat("b", 65536)), closed(1000)}},
		"as large as may":  {goodbye(client{}.frame(final|opText, strings.Repeat("c", messageBytesMax))), []serverFrame{text(strings.Repeat("c", messageBytesMax)), closed(1000)}},
		"two messages":     {goodbye(client{}.frame(final|opText, "one").frame(final|opText, "two")), []serverFrame{text("one"), text("two"), closed(1000)}},
		"UTF-8":            {goodbye(client{}.frame(final|opText, utf)), []serverFrame{text(utf), closed(1000)}},
		"split rune":       {goodbye(client{}.frame(opText, utf[:7]).frame(final|opContinuation, utf[7:])), []serverFrame{text(utf), closed(1000)}},
		"fragments":        {goodbye(client{}.frame(opText, "a").frame(opContinuation, "").frame(opContinuation, "b").frame(final|opContinuation, "c")), []serverFrame{text("abc"), closed(1000)}},
		"ping in between":  {goodbye(client{}.frame(opText, "a").frame(final|opPing, "p").frame(final|opContinuation, "b")), []serverFrame{pong("p"), text("ab"), closed(1000)}},
		"binary":           {goodbye(client{}.frame(final|opBinary, "\xff\x00")), []serverFrame{{opBinary, "\xff\x00"}, closed(1000)}},
		"binary fragments": {goodbye(client{}.frame(opBinary, "\xff").frame(final|opContinuation, "\x00")), []serverFrame{{opBinary, "\xff\x00"}, closed(1000)}},
		"ping":             {goodbye(client{}.frame(final|opPing, "")), []serverFrame{pong(""), closed(1000)}},
		"ping 125":         {goodbye(client{}.frame(final|opPing, strings.Repeat("p", 125))), []serverFrame{pong(strings.Repeat("p", 125)), closed(1000)}},
		"unasked pong":     {goodbye(client{}.frame(final|opPong, "x").frame(final|opText, "y")), []serverFrame{text("y"), closed(1000)}},

		"ping 126":                 {client{}.frame(final|opPing, strings.Repeat("p", 126)), []serverFrame{closed(1002)}},
		"fragmented ping":          {client{}.frame(opPing, "p"), []serverFrame{closed(1002)}},
		"fragmented close":         {client{}.frame(opClose, closeFrame(1000, "")), []serverFrame{closed(1002)}},
		"reserved bit 1":           {client{}.frame(final|0x40|opText, "x"), []serverFrame{closed(1002)}},
		"reserved bit 2":           {client{}.frame(final|0x20|opText, "x"), []serverFrame{closed(1002)}},
		"reserved bit 3, ping":     {client{}.frame(final|0x10|opPing, "x"), []serverFrame{closed(1002)}},
		"reserved opcode 3":        {client{}.frame(final|0x3, "x"), []serverFrame{closed(1002)}},
		"reserved opcode 7":        {client{}.frame(final|0x7, ""), []serverFrame{closed(1002)}},
		"reserved opcode B":        {client{}.frame(final|0xB, "x"), []serverFrame{closed(1002)}},
		"reserved opcode F":        {client{}.frame(final|0xF, ""), []serverFrame{closed(1002)}},
		"no mask":                  {client("\x81\x01a"), []serverFrame{closed(1002)}},
		"continuation alone":       {client{}.frame(final|opContinuation, "x"), []serverFrame{closed(1002)}},
		"continuation after":       {client{}.frame(final|opText, "a").frame(opContinuation, "x"), []serverFrame{text("a"), closed(1002)}},
		"text within a message":    {client{}.frame(opText, "a").frame(final|opText, "b"), []serverFrame{closed(1002)}},
		"length in 2 bytes too":    {client("\x81\xfe\x00\x05\x00\x00\x00\x00hello"), []serverFrame{closed(1002)}},
		"length in 8 bytes too":    {client("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00hello"), []serverFrame{closed(1002)}},
		"negative length":          {client("\x81\xff\x80\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00"), []serverFrame{closed(1002)}},
		"huge length":              {client("\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00"), []serverFrame{closed(1009)}},
		"one byte too many":        {client{}.frame(final|opText, strings.Repeat("c", messageBytesMax+1)), []serverFrame{closed(1009)}},
		"too large in fragments":   {client{}.frame(opText, strings.Repeat("c", messageBytesMax)).frame(final|opContinuation, "c"), []serverFrame{closed(1009)}},
		"invalid UTF-8":            {client{}.frame(final|opText, "\xce\xba\xed\xa0\x80"), []serverFrame{closed(1007)}},
		"unfinished rune":          {client{}.frame(final|opText, "\xce"), []serverFrame{closed(1007)}},
		"invalid UTF-8, fragments": {client{}.frame(opText, "\xce").frame(final|opContinuation, "a"), []serverFrame{closed(1007)}},

		"as many fragments as may": {goodbye(client{}.frame(opText, "a").frames(framesMax-2, opContinuation).frame(final|opContinuation, "b")), []serverFrame{text("ab"), closed(1000)}},
		"too many fragments":       {client{}.frame(opText, "a").frames(framesMax, opContinuation), []serverFrame{closed(1008)}},
		"too many pongs":           {client{}.frames(framesMax+1, final|opPong), []serverFrame{closed(1008)}},
		"pings without a bound":    {goodbye(client{}.frames(2*framesMax, final|opPing)), append(slices.Repeat([]serverFrame{pong("")}, 2*framesMax), closed(1000))},

		"close":                  {client{}.frame(final|opClose, ""), []serverFrame{{opClose, ""}}},
		"close with a reason":    {client{}.frame(final|opClose, closeFrame(1001, "away")), []serverFrame{{opClose, closeFrame(1001, "away")}}},
		"close with own code":    {client{}.frame(final|opClose, closeFrame(4999, strings.Repeat("r", 123))), []serverFrame{{opClose, closeFrame(4999, strings.Repeat("r", 123))}}},
		"close in a message":     {client{}.frame(opText, "a").frame(final|opClose, closeFrame(1000, "")), []serverFrame{closed(1000)}},
		"close of one byte":      {client{}.frame(final|opClose, "\x03"), []serverFrame{closed(1002)}},
		"close code 999":         {client{}.frame(final|opClose, closeFrame(999, "")), []serverFrame{closed(1002)}},
		"close code 1004":        {client{}.frame(final|opClose, closeFrame(1004, "")), []serverFrame{closed(1002)}},
		"close code 1005":        {client{}.frame(final|opClose, closeFrame(1005, "")), []serverFrame{closed(1002)}},
		"close code 1006":        {client{}.frame(final|opClose, closeFrame(1006, "")), []serverFrame{closed(1002)}},
		"close code 1015":        {client{}.frame(final|opClose, closeFrame(1015, "")), []serverFrame{closed(1002)}},
		"close code 2999":        {client{}.frame(final|opClose, closeFrame(2999, "")), []serverFrame{closed(1002)}},
		"close code 5000":        {client{}.frame(final|opClose, closeFrame(5000, "")), []serverFrame{closed(1002)}},
		"close, invalid UTF-8":   {client{}.frame(final|opClose, closeFrame(1000, "\xff")), []serverFrame{closed(1007)}},
		"nothing after a close":  {client{}.frame(final|opClose, closeFrame(1000, "")).frame(final|opPing, "x"), []serverFrame{closed(1000)}},
		"close before the frame": {goodbye(client{}).frame(final|opText, "x"), []serverFrame{closed(1000)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := echo(t)
			steps := []int{1 << 30, 7, 1}
			if len(test.send) > 10_000 {
				steps = []int{1 << 30, 999}
			}
			for _, step := range steps {
				got := talk(t, server, test.send, step)
				for i, f := range got { // a violation has a reason, which is for people
					if f.opcode == opClose && len(f.payload) > 2 && len(test.want) > i && len(test.want[i].payload) == 2 {
						got[i].payload = f.payload[:2]
					}
				}
				assert.Equal(t, test.want, got, "in writes of %d bytes", step)
			}
		})
	}
}

// TestPipelinedFrames: frames that arrive with the handshake are read.
func TestPipelinedFrames(t *testing.T) {
	t.Parallel()
	server := echo(t)
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	long := strings.Repeat("x", 3000)
	_, err = conn.Write(append([]byte(handshakeBytes("")), client{}.frame(0x81, "hello").frame(0x81, long)...))
	require.NoError(t, err)
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	for _, want := range []string{"hello", long} {
		f, err := readFrame(r)
		require.NoError(t, err)
		assert.Equal(t, serverFrame{opText, want}, f)
	}
}

// TestHandshake: the status of each handshake, and the subprotocol in the client's
// spelling.
func TestHandshake(t *testing.T) {
	t.Parallel()
	server := echo(t)
	for name, test := range map[string]struct {
		replace, with string
		status        int
	}{
		"valid":          {"", "", 101},
		"HTTP/1.0":       {"HTTP/1.1", "HTTP/1.0", 426},
		"POST":           {"GET", "POST", 405},
		"no upgrade":     {"Upgrade: WebSocket", "X: y", 426},
		"no connection":  {"Connection: keep-alive, Upgrade", "Connection: close", 426},
		"version":        {"Version: 13", "Version: 12", 400},
		"short key":      {"dGhlIHNhbXBsZSBub25jZQ==", "dGhl", 400},
		"no base64":      {"dGhlIHNhbXBsZSBub25jZQ==", "????????????????????????", 400},
		"two keys":       {"Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key", 400},
		"allowed origin": {"Host: a\r\n", "Host: a\r\nOrigin: https://friend.example\r\n", 101},
		"foreign origin": {"Host: a\r\n", "Host: a\r\nOrigin: https://evil.example\r\n", 403},
	} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
		_, err = io.WriteString(conn, strings.Replace(handshakeBytes("Sec-WebSocket-Protocol: x, Echo\r\nContent-Length: 0\r\n"), test.replace, test.with, 1))
		require.NoError(t, err)
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err, name)
		assert.Equal(t, test.status, response.StatusCode, name)
		if test.status == 101 {
			assert.Equal(t, "Echo", response.Header.Get("Sec-WebSocket-Protocol"))
		}
		_ = response.Body.Close()
		require.NoError(t, conn.Close())
	}
}

// TestLibraryClient: another implementation understands the server, with messages of
// all sizes.
func TestLibraryClient(t *testing.T) {
	t.Parallel()
	server := echo(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, server.URL, &websocket.DialOptions{Subprotocols: []string{"echo"}, CompressionMode: websocket.CompressionContextTakeover})
	require.NoError(t, err)
	conn.SetReadLimit(-1)
	for n := 0; n < messageBytesMax; n = n*3 + 1 {
		message := bytes.Repeat([]byte("ü"), n/2)
		require.NoError(t, conn.Write(ctx, websocket.MessageText, message))
		_, back, err := conn.Read(ctx)
		require.NoError(t, err)
		assert.True(t, bytes.Equal(message, back), "%d bytes", n)
	}
	require.NoError(t, conn.Close(websocket.StatusNormalClosure, "bye"))
}

// connPair returns a server's end of a connection, and the client's end.
func connPair(t *testing.T) (c *Conn, peer net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	peer, err = net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = peer.Close() })
	accepted, err := listener.Accept()
	require.NoError(t, err)
	c = newConn(accepted, nil, messageBytesMax)
	t.Cleanup(c.Close)
	return c, peer
}

// TestTryWrite: a full send buffer takes a part and does not block, and Write meets its
// deadline.
func TestTryWrite(t *testing.T) {
	t.Parallel()
	c, _ := connPair(t)
	data, sent := make([]byte, 1<<20), 0
	for n, err := 1, error(nil); n > 0; sent += n {
		n, err = c.TryWrite(data)
		require.NoError(t, err)
	}
	assert.Positive(t, sent)
	_, err := c.Write(data, 10*time.Millisecond, patience)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded, "the client reads nothing")
	c.Close()
	_, err = c.TryWrite(data)
	require.Error(t, err)
}

// TestWriteLast: a client that did not read finds every frame whole, and the close frame,
// when it reads again. A frame that is too large is not kept for it.
func TestWriteLast(t *testing.T) {
	t.Parallel()
	closing := CloseError{Code: CloseTryAgainLater, Reason: "the client does not read"}
	for name, test := range map[string]struct {
		payload int
		code    bool
	}{"small frames": {4 << 10, true}, "large frames": {1 << 20, false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, peer := connPair(t)
			require.NoError(t, c.net.(*net.TCPConn).SetWriteBuffer(64<<10))
			require.NoError(t, peer.(*net.TCPConn).SetReadBuffer(4<<10))
			frame, n, whole := AppendText(nil, strings.Repeat("x", test.payload)), 0, -1
			var err error
			for err == nil {
				n, err = c.Write(frame, 50*time.Millisecond, patience)
				whole++
			}
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			require.Equal(t, test.code, c.WriteLast(frame[n:], closing))
			if !test.code {
				return
			}
			require.NoError(t, peer.(*net.TCPConn).SetReadBuffer(1<<20)) // it reads fast now
			require.NoError(t, peer.SetReadDeadline(time.Now().Add(patience)))
			all, err := io.ReadAll(peer)
			require.NoError(t, err)
			want := append(bytes.Repeat(frame, whole+1), AppendClose(nil, closing)...)
			assert.True(t, bytes.Equal(want, all), "%d bytes, want %d", len(all), len(want))
		})
	}
}

// TestFramed: the header before a payload is as if it was written first.
func TestFramed(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 65535, 65536} {
		payload := strings.Repeat("x", n)
		assert.Equal(t, AppendText(nil, payload), Framed(append(Headroom(nil), payload...)), "%d bytes", n)
	}
}

// TestCloseReasonFits: a long reason is cut between characters.
func TestCloseReasonFits(t *testing.T) {
	t.Parallel()
	e := Closef(4400, "%s", strings.Repeat("é", 200))
	assert.Equal(t, strings.Repeat("é", 61), e.Reason)
	assert.Equal(t, "4400: x", Closef(4400, "x").Error())
	assert.LessOrEqual(t, len(AppendClose(nil, e)), 127)
}

// FuzzNext: any bytes are messages, pings, a violation or the end of the connection.
// Read whole or byte by byte they are the same.
func FuzzNext(f *testing.F) {
	f.Add([]byte(client{}.frame(0x81, "hello").frame(0x01, "a").frame(0x89, "p").frame(0x80, "b").frame(0x88, closeFrame(1000, ""))))
	f.Add([]byte(client{}.frame(0x82, strings.Repeat("x", 70_000))))
	f.Add([]byte("\x81\xfe\x00\x05\x00\x00\x00\x00hello"))
	f.Add([]byte("\x81\xfe0000000")) // ends within the payload
	f.Fuzz(func(t *testing.T, data []byte) {
		whole, single := readAll(&bytesConn{rest: data, step: len(data) + 1}), readAll(&bytesConn{rest: data, step: 1})
		if whole != single {
			t.Fatalf("%x: %q, byte by byte %q", data, whole, single)
		}
	})
}

func readAll(conn net.Conn) string {
	var text strings.Builder
	c := newConn(conn, nil, 100_000)
	for {
		kind, data, err := c.Next()
		if err != nil {
			return text.String() + err.Error()
		}
		fmt.Fprintf(&text, "%d %q\n", kind, data)
	}
}

// bytesConn is a connection whose bytes arrive in steps.
type bytesConn struct {
	net.Conn
	rest []byte
	step int
}

// Read implements net.Conn.
func (c *bytesConn) Read(to []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(to[:min(c.step, len(to))], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
