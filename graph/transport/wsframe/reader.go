package wsframe

import (
	"encoding/binary"
	"errors"
	"io"
	"unicode/utf8"
)

// FrameKind is what Next returns.
type FrameKind uint8

// The kinds of what arrives. A pong of RFC 6455 is not returned: Onhand sends no ping
// of that kind.
const (
	Text FrameKind = iota
	Binary
	Ping
)

// header is the header of a client's frame.
type header struct {
	opcode byte
	final  bool
	length int // of the payload
	mask   [maskBytes]byte
}

// framesMax is how many frames may arrive for one message, with the pongs between them.
// A fragment may be empty, so that the bound in bytes is none for them.
const framesMax = 256

// Next returns the next message, or the payload of a ping. The data is valid until
// Release or the next call of Next.
//
// Errors: a CloseError for the server to send, where the client closes the connection
// (its own code, or CloseNoStatus, confirms that) or violates RFC 6455; or the error of
// the connection. No frame can be read after an error.
func (c *Conn) Next() (FrameKind, []byte, error) {
	if !c.started {
		c.Release()
		c.frames = 0
	}
	for {
		h, err := c.header()
		if err != nil {
			return 0, nil, err
		}
		c.frames++
		if h.opcode >= opClose {
			kind, data, err := c.control(h)
			if kind == Ping || err != nil {
				return kind, data, err
			}
			continue
		}
		if err := c.payload(h); err != nil {
			return 0, nil, err
		}
		if c.started = !h.final; c.started {
			continue
		}
		if c.binary {
			return Binary, c.message.B, nil
		}
		if !utf8.Valid(c.message.B) {
			return 0, nil, CloseError{CloseInvalidText, "invalid UTF-8"}
		}
		return Text, c.message.B, nil
	}
}

// Release gives up the buffer of the message that Next returned.
func (c *Conn) Release() {
	if !c.started {
		c.message.Free()
		c.message = nil
	}
}

// violation ends a connection whose client violates RFC 6455.
func violation(reason string) error { return CloseError{CloseProtocolError, reason} }

// header reads and checks the header of a frame.
func (c *Conn) header() (h header, err error) {
	var b [headerBytesMax]byte
	if err := c.read(b[:2]); err != nil {
		return h, err
	}
	h.final, h.opcode = b[0]&finalBit != 0, b[0]&opcodeBits
	switch {
	case b[0]&reservedBits != 0:
		return h, violation("reserved bits are set")
	case b[1]&maskBit == 0:
		return h, violation("a frame has no mask")
	}
	if h.length, err = c.length(b[1]&lengthBits, &b); err != nil {
		return h, err
	}
	if err := c.check(h); err != nil {
		return h, err
	}
	err = c.read(h.mask[:])
	return h, err
}

// length reads the length of a payload, whose first bits are given.
func (c *Conn) length(first byte, b *[headerBytesMax]byte) (int, error) {
	switch first {
	case length16:
		if err := c.read(b[:2]); err != nil {
			return 0, err
		}
		if n := int(binary.BigEndian.Uint16(b[:])); n >= length16 {
			return n, nil
		}
		return 0, violation("a length is not in its shortest form")
	case length64:
		if err := c.read(b[:8]); err != nil {
			return 0, err
		}
		switch n := binary.BigEndian.Uint64(b[:]); {
		case n>>63 != 0:
			return 0, violation("a length is out of range")
		case n < 1<<16:
			return 0, violation("a length is not in its shortest form")
		case n > uint64(c.bytesMax):
			return 0, c.tooBig()
		default:
			return int(n), nil
		}
	}
	return int(first), nil
}

func (c *Conn) tooBig() error {
	return Closef(CloseMessageTooBig, "a message has at most %d bytes", c.bytesMax)
}

// check checks that a frame may come now.
func (c *Conn) check(h header) error {
	switch {
	case c.frames >= framesMax:
		return CloseError{ClosePolicyViolation, "too many frames for one message"}
	case h.opcode > opPong || h.opcode > opBinary && h.opcode < opClose:
		return violation("reserved opcode")
	case h.opcode >= opClose && !h.final:
		return violation("a control frame is fragmented")
	case h.opcode >= opClose && h.length > controlBytesMax:
		return violation("a control frame is too large")
	case h.opcode >= opClose:
		return nil
	case c.started && h.opcode != opContinuation:
		return violation("a message begins within another one")
	case !c.started && h.opcode == opContinuation:
		return violation("a continuation without a message")
	case c.message != nil && len(c.message.B)+h.length > c.bytesMax, h.length > c.bytesMax:
		return c.tooBig()
	}
	return nil
}

// control reads the payload of a control frame.
func (c *Conn) control(h header) (FrameKind, []byte, error) {
	var space [controlBytesMax]byte
	data := space[:h.length]
	if err := c.read(data); err != nil {
		return 0, nil, err
	}
	unmask(data, h.mask, 0)
	switch h.opcode {
	case opPing:
		return Ping, append([]byte(nil), data...), nil
	case opClose:
		return 0, nil, closed(data)
	}
	return 0, nil, nil // a pong
}

// closed returns the error of a close frame.
func closed(data []byte) error {
	if len(data) == 0 {
		return CloseError{Code: CloseNoStatus}
	}
	if len(data) == 1 {
		return violation("a close frame of one byte")
	}
	code, reason := int(binary.BigEndian.Uint16(data)), data[2:]
	switch {
	case !isCloseCode(code):
		return violation("invalid close code")
	case !utf8.Valid(reason):
		return CloseError{CloseInvalidText, "invalid UTF-8"}
	}
	return CloseError{code, string(reason)}
}

// readStepBytes is how much the buffer of a message grows at least. It grows as the
// bytes arrive, whatever length the frame announces.
const readStepBytes = 4 << 10

// payload reads the payload of a data frame into the message.
func (c *Conn) payload(h header) error {
	if c.message == nil {
		c.message = NewFrameBuffer()
		c.binary = h.opcode == opBinary
	}
	for at := 0; at < h.length; {
		b := c.message.B
		n := min(h.length-at, max(cap(b)-len(b), len(b), readStepBytes))
		if cap(b)-len(b) < n {
			grown := make([]byte, len(b), len(b)+n)
			copy(grown, b)
			b = grown
		}
		part := b[len(b) : len(b)+n]
		if err := c.read(part); err != nil {
			return err
		}
		unmask(part, h.mask, at)
		c.message.B = b[:len(b)+n]
		at += n
	}
	return nil
}

// read fills data. What the system has beyond it waits in the small buffer.
func (c *Conn) read(data []byte) error {
	for len(data) > 0 {
		switch {
		case len(c.early) > 0:
			n := copy(data, c.early)
			data, c.early = data[n:], c.early[n:]
			if len(c.early) == 0 {
				c.early = nil
			}
		case c.from < c.to:
			n := copy(data, c.buffer[c.from:c.to])
			data, c.from = data[n:], c.from+uint8(n)
		case len(data) >= readBufferBytes:
			_, err := io.ReadFull(c.net, data)
			if errors.Is(err, io.ErrUnexpectedEOF) {
				return io.EOF // wherever in a frame the connection ends
			}
			return err
		default:
			n, err := c.net.Read(c.buffer[:])
			if n == 0 && err != nil {
				return err
			}
			c.from, c.to = 0, uint8(n)
		}
	}
	return nil
}
