package wsframe

import (
	"net"
	"syscall"
	"time"
)

// readBufferBytes is the buffer that a connection always has. A "pong" or "complete"
// fits into it with its header.
const readBufferBytes = 128

// Conn is the server's end of a WebSocket. Make it with Accept.
type Conn struct {
	net   net.Conn
	raw   syscall.RawConn // nil where the connection is not a socket of the system
	early []byte          // arrived with the handshake, not read yet

	bytesMax int // of a message
	buffer   [readBufferBytes]byte
	from, to uint8        // the bytes of buffer that are not used yet
	message  *FrameBuffer // the message that arrives; nil between messages
	binary   bool         // of message
	started  bool         // fragments of a message have arrived, more follow
	frames   uint16       // that arrived for the message
}

func newConn(conn net.Conn, early []byte, bytesMax int) *Conn {
	c := &Conn{net: conn, early: early, bytesMax: bytesMax}
	if system, ok := conn.(syscall.Conn); ok {
		c.raw, _ = system.SyscallConn()
	}
	return c
}

// Net returns the connection.
func (c *Conn) Net() net.Conn { return c.net }

// pieceBytes is how much is written with one deadline. A client that reads a piece in
// time is slow, not stuck, however large the message.
const pieceBytes = 16 << 10

// TryWrite writes what the system takes without blocking. n < len(data) without an
// error means that the send buffer is full.
func (c *Conn) TryWrite(data []byte) (n int, err error) {
	if c.raw == nil {
		return 0, nil
	}
	return tryWrite(c.raw, data)
}

// Write writes data in pieces. Each piece has a deadline, and all of data has one. It
// returns how much the system took.
func (c *Conn) Write(data []byte, piece, whole time.Duration) (n int, err error) {
	end := time.Now().Add(whole)
	for n < len(data) {
		next := data[n:min(len(data), n+pieceBytes)]
		at := time.Now().Add(piece)
		if at.After(end) {
			at = end
		}
		if err := c.net.SetWriteDeadline(at); err != nil {
			return n, err
		}
		written, err := c.net.Write(next)
		n += written
		if err != nil {
			return n, err
		}
	}
	return n, c.net.SetWriteDeadline(time.Time{})
}

// lastBytesMax is how much WriteLast writes. Linux allows an enlarged send buffer of
// 208 KiB, in which a stream's frames have taken some 64 KiB.
const lastBytesMax = 96 << 10

// WriteLast writes what is left of a frame, and a close frame after it, to a client that
// does not read, and closes the connection. The client finds both when it reads again
// within about a minute. It enlarges the send buffer for them. It does not block.
//
// It reports whether the system took all of it; under TLS never.
func (c *Conn) WriteLast(rest []byte, e CloseError) (written bool) {
	defer c.Close()
	conn, ok := c.net.(interface{ SetWriteBuffer(bytes int) error })
	if !ok || len(rest) > lastBytesMax || conn.SetWriteBuffer(2*lastBytesMax) != nil || c.net.SetWriteDeadline(time.Time{}) != nil {
		return false
	}
	data := AppendClose(append(make([]byte, 0, len(rest)+headerBytesMax+controlBytesMax), rest...), e)
	n, err := c.TryWrite(data)
	return err == nil && n == len(data)
}

// EndWrites tells the client that no more bytes follow.
func (c *Conn) EndWrites() {
	if conn, ok := c.net.(interface{ CloseWrite() error }); ok {
		_ = conn.CloseWrite() // the client has gone, which the reader notices
	}
}

// discardBytes is the size of the buffer of Discard.
const discardBytes = 4 << 10

// Discard reads until the client closes the connection or a deadline passes. A
// connection that is closed with unread bytes would take the close frame with it.
func (c *Conn) Discard(until time.Time) {
	if c.net.SetReadDeadline(until) != nil {
		return
	}
	buffer := NewFrameBuffer()
	defer buffer.Free()
	buffer.B = append(buffer.B, make([]byte, discardBytes)...)
	for {
		if _, err := c.net.Read(buffer.B); err != nil {
			return
		}
	}
}

// Interrupt makes a Next in progress return with a deadline error.
func (c *Conn) Interrupt() { _ = c.net.SetReadDeadline(time.Unix(1, 0)) }

// Close closes the connection without a close frame.
func (c *Conn) Close() { _ = c.net.Close() }
