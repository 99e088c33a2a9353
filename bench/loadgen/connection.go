package loadgen

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"strconv"
)

// answerBytesMax bounds one answer, and with it the read buffer of a connection. Ours have some 200 bytes.
const answerBytesMax = 8 << 10

// Document is what a storefront sends, and asks for, when it reserves a basket.
const Document = `mutation($input: ReserveStockInput!) { reserveStock(input: $input) {
	reservation { id state expiresAt serverTime } replayed errors { __typename ... on UserError { message path } } } }`

// Connection reserves baskets over one HTTP connection, one call at a time.
type Connection struct {
	conn   net.Conn
	reader *bufio.Reader
	// The request: the head up to the value of Content-Length, and the body around the key and the lines.
	head, beforeKey []byte
	body, request   []byte // reused
}

const betweenKeyAndLines, afterLines = `","lines":`, `}}}`

// Dial connects to the server at address (host:port).
func Dial(address string) (*Connection, error) {
	query, err := json.Marshal(Document)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &Connection{
		conn: conn, reader: bufio.NewReaderSize(conn, answerBytesMax),
		head: []byte("POST /graphql HTTP/1.1\r\nHost: " + address +
			"\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: "),
		beforeKey: []byte(`{"query":` + string(query) + `,"variables":{"input":{"idempotencyKey":"`),
	}, nil
}

// Close closes the connection.
func (c *Connection) Close() error { return c.conn.Close() }

// Reserve sends one basket and waits for its reservation.
func (c *Connection) Reserve(w *Worker, basket Basket) error {
	c.body = w.AppendKey(append(c.body[:0], c.beforeKey...))
	c.body = append(c.body, betweenKeyAndLines...)
	c.body = append(append(c.body, basket.json...), afterLines...)
	c.request = strconv.AppendInt(append(c.request[:0], c.head...), int64(len(c.body)), 10)
	c.request = append(append(c.request, "\r\n\r\n"...), c.body...)
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	if err := c.readAnswer(); err != nil {
		return err
	}
	w.Acknowledge(basket)
	return nil
}

var (
	statusOK      = []byte(" 200 ")
	contentLength = []byte("content-length")
	accepted      = []byte(`"state":"ACTIVE"`)
	noErrors      = []byte(`"errors":[]`)
)

// readAnswer reads one response, whose length the server gives, and fails unless it is a new reservation.
func (c *Connection) readAnswer() error {
	status, length, err := c.readHead()
	if err != nil {
		return err
	}
	if length < 0 || length > answerBytesMax {
		return fmt.Errorf("an answer of %d bytes", length)
	}
	answer, err := c.reader.Peek(length)
	if err != nil {
		return err
	}
	if !status || !bytes.Contains(answer, accepted) || !bytes.Contains(answer, noErrors) {
		return fmt.Errorf("status 200: %t; %s", status, answer)
	}
	_, err = c.reader.Discard(length)
	return err
}

// readHead reads up to the empty line. Without a Content-Length, length is -1.
func (c *Connection) readHead() (ok bool, length int, err error) {
	length = -1
	line, err := c.reader.ReadSlice('\n')
	if err != nil {
		return false, length, err
	}
	ok = bytes.Contains(line, statusOK)
	for {
		if line, err = c.reader.ReadSlice('\n'); err != nil {
			return ok, length, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			return ok, length, nil
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, contentLength) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return ok, length, err
			}
		}
	}
}

// Pool has a connection for each worker.
type Pool []*Connection

// DialPool opens a connection for each of so many callers, to the servers in turn.
func DialPool(addresses []string, callers int) (Pool, error) {
	var p Pool
	for i := range callers {
		c, err := Dial(addresses[i%len(addresses)])
		if err != nil {
			return nil, errors.Join(err, p.Close())
		}
		p = append(p, c)
	}
	return p, nil
}

// Reserve is the call of a closed loop: each worker sends baskets on its own connection.
func (p Pool) Reserve(baskets []Basket) func(*Worker) error {
	return func(w *Worker) error { return p[w.Number].Reserve(w, w.Choose(baskets)) }
}

// Close closes all connections.
func (p Pool) Close() error {
	var errs []error
	for _, c := range p {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}
