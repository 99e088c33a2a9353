package loadgen

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

const (
	// readBufferBytes is the read buffer of a connection.
	readBufferBytes = 8 << 10
	// answerBytesMax bounds one answer: 20 products with all fields have some 20 kB.
	answerBytesMax = 256 << 10
)

// Requester sends prepared requests over one HTTP connection, one at a time. It speaks only as much HTTP/1.1 as that needs.
type Requester struct {
	conn   net.Conn
	reader *bufio.Reader
	head   []byte // of a request, up to the value of Content-Length
	answer []byte // reused
}

// DialRequester connects to the server at address (host:port). Each request has the headers ("Name: value") too.
func DialRequester(address string, headers ...string) (*Requester, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	var more strings.Builder
	for _, header := range headers {
		more.WriteString("\r\n" + header)
	}
	return &Requester{
		conn: conn, reader: bufio.NewReaderSize(conn, readBufferBytes),
		head: []byte("POST /graphql HTTP/1.1\r\nHost: " + address +
			more.String() + "\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: "),
	}, nil
}

// Close closes the connection.
func (c *Requester) Close() error { return c.conn.Close() }

// AppendRequest appends a POST of this body.
func (c *Requester) AppendRequest(to, body []byte) []byte {
	to = strconv.AppendInt(append(to, c.head...), int64(len(body)), 10)
	return append(append(to, "\r\n\r\n"...), body...)
}

// Do sends a request that AppendRequest made, and returns the body of its answer, which is valid until the next call. An
// answer that has not status 200 is an error.
func (c *Requester) Do(request []byte) (answer []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return nil, err
	}
	head, err := c.readHead()
	if err != nil {
		return nil, err
	}
	switch c.answer = c.answer[:0]; {
	case head.chunked:
		err = c.readChunks()
	case head.length < 0:
		err = errors.New("an answer without a length")
	default:
		err = c.read(head.length)
	}
	if err == nil && !head.ok {
		err = fmt.Errorf("an answer without status 200: %.200s", c.answer)
	}
	return c.answer, err
}

// read adds so many bytes to the answer.
func (c *Requester) read(n int) error {
	have := len(c.answer)
	if n < 0 || have+n > answerBytesMax {
		return fmt.Errorf("an answer of more than %d bytes", answerBytesMax)
	}
	if cap(c.answer) < have+n {
		c.answer = append(make([]byte, 0, 2*(have+n)), c.answer...)
	}
	c.answer = c.answer[:have+n]
	_, err := io.ReadFull(c.reader, c.answer[have:])
	return err
}

// readChunks reads the chunks of an answer without trailers.
func (c *Requester) readChunks() error {
	for {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(bytes.TrimSpace(line)), 16, 32)
		if err == nil {
			err = c.read(int(n))
		}
		if err == nil {
			_, err = c.reader.Discard(len("\r\n"))
		}
		if err != nil || n == 0 {
			return err
		}
	}
}

// answerHead is what counts of the head of an answer.
type answerHead struct {
	ok      bool // status 200
	length  int  // -1 without a Content-Length
	chunked bool
}

var (
	statusOK         = []byte(" 200 ")
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
)

// readHead reads up to the empty line.
func (c *Requester) readHead() (head answerHead, err error) {
	head.length = -1
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return head, err
	}
	head.ok = bytes.Contains(line, statusOK)
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return head, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return head, nil
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, contentLength):
			if head.length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return head, err
			}
		case bytes.EqualFold(name, transferEncoding):
			head.chunked = true
		}
	}
}
