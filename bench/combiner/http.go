package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
)

// answerBytesMax bounds one answer; ours have some 200 bytes.
const answerBytesMax = 64 << 10

// document is what a storefront sends, and asks, for a cart.
const document = `mutation($input: ReserveStockInput!) { reserveStock(input: $input) {
	reservation { id state expiresAt serverTime } replayed errors { __typename ... on UserError { message path } } } }`

// writer is a store that writes its own way and reads like ours.
type writer struct {
	*store.Store
	write func(context.Context, models.Write) (models.WriteResult, error)
}

// Write implements graph.Store.
func (w writer) Write(ctx context.Context, write models.Write) (models.WriteResult, error) {
	return w.write(ctx, write)
}

// served is the API over some store, on a port of its own, as server.go puts it together.
type served struct {
	server  *http.Server
	address string
	clients chan *client
}

func serve(st graph.Store, callers int) (*served, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	api := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: slog.New(slog.DiscardHandler)},
		Closing:  transport.NewClosing(), Origins: []string{"127.0.0.1:*"},
	})
	mux := http.NewServeMux()
	mux.Handle("/graphql", guard.Local(api))
	s := &served{server: &http.Server{Handler: guard.LoopbackOnly(mux)}, address: listener.Addr().String(), clients: make(chan *client, callers)}
	go func() { _ = s.server.Serve(listener) }() // ends with close
	for range callers {
		c, err := dial(s.address)
		if err != nil {
			return nil, errors.Join(err, s.close())
		}
		s.clients <- c
	}
	return s, nil
}

func (s *served) close() error {
	for range len(s.clients) {
		_ = (<-s.clients).conn.Close() // the server closes too
	}
	return s.server.Close()
}

// reserve sends carts; there is a connection for every caller.
func (s *served) reserve(next cart) func(*worker) error {
	return func(w *worker) error {
		c := <-s.clients
		defer func() { s.clients <- c }()
		lines := next(w)
		if err := c.reserve(w.key(), lines); err != nil {
			return err
		}
		w.take(lines)
		return nil
	}
}

// client speaks just enough HTTP/1.1, because net/http's client would cost as much as the server that is measured.
type client struct {
	conn   net.Conn
	reader *bufio.Reader
	head   string
	query  string
	buffer []byte
}

func dial(address string) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	query, err := json.Marshal(document)
	if err != nil {
		return nil, err
	}
	return &client{
		conn: conn, reader: bufio.NewReader(conn), query: string(query),
		head: "POST /graphql HTTP/1.1\r\nHost: " + address + "\r\nContent-Type: application/json\r\nAccept: application/json\r\nContent-Length: ",
	}, nil
}

var (
	accepted = []byte(`"state":"ACTIVE"`)
	clean    = []byte(`"errors":[]`)
)

func (c *client) reserve(key string, lines []models.Line) error {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"query":%s,"variables":{"input":{"idempotencyKey":%q,"lines":[`, c.query, key)
	for i, line := range lines {
		if i > 0 {
			body.WriteByte(',')
		}
		fmt.Fprintf(&body, `{"productId":%q,"quantity":%d}`, line.ProductID, line.Quantity)
	}
	body.WriteString("]}}}")
	c.buffer = append(c.buffer[:0], c.head...)
	c.buffer = strconv.AppendInt(c.buffer, int64(body.Len()), 10)
	c.buffer = append(append(c.buffer, "\r\n\r\n"...), body.Bytes()...)
	if _, err := c.conn.Write(c.buffer); err != nil {
		return err
	}
	status, answer, err := c.answer()
	if err != nil {
		return err
	}
	if !strings.Contains(status, " 200 ") || !bytes.Contains(answer, accepted) || !bytes.Contains(answer, clean) {
		return fmt.Errorf("%s: %s", status, answer)
	}
	return nil
}

// answer reads one response; the server says how long it is.
func (c *client) answer() (status string, body []byte, err error) {
	length := -1
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return status, nil, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			status = string(line)
			continue
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return status, nil, err
			}
		}
	}
	if length < 0 || length > answerBytesMax {
		return status, nil, fmt.Errorf("%s: an answer of %d bytes", status, length)
	}
	c.buffer = append(c.buffer[:0], make([]byte, length)...)
	_, err = io.ReadFull(c.reader, c.buffer)
	return status, c.buffer, err
}
