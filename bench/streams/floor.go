package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"onhand/bench/floors"
	"onhand/bench/testbed"
)

// The settings of the floor: small buffers, those of writes from a pool, a reader and a writer goroutine for each
// client. net/http's goroutine and its buffers do not stay.
const (
	floorBufferBytes  = 512
	floorQueueMax     = 16 // messages of one client
	floorWriteTimeout = 10 * time.Second
)

// floorCommand is the floor in a process of its own.
type floorCommand struct {
	Redis string `required:""`
}

// Run serves until the input ends.
func (c floorCommand) Run(ctx context.Context) error {
	client, err := floors.Client(c.Redis)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()
	s := &floorServer{
		upgrader: websocket.Upgrader{ReadBufferSize: floorBufferBytes, WriteBufferSize: floorBufferBytes, WriteBufferPool: &sync.Pool{}},
		clients:  map[string]map[*floorClient]bool{}, changes: map[string]int{},
	}
	messages := client.PSubscribe(ctx, channelPrefix+"*")
	if _, err := messages.Receive(ctx); err != nil {
		return err
	}
	go func() {
		for message := range messages.Channel() {
			s.change(strings.TrimPrefix(message.Channel, channelPrefix))
		}
	}()
	err = testbed.Serve(ctx, &http.Server{Handler: s, ReadHeaderTimeout: floorWriteTimeout})
	return errors.Join(err, messages.Close())
}

// floorServer sends each change of a product to its clients.
type floorServer struct {
	upgrader websocket.Upgrader
	mu       sync.Mutex
	clients  map[string]map[*floorClient]bool // by product
	changes  map[string]int
}

type floorClient struct {
	conn  *websocket.Conn
	queue chan *websocket.PreparedMessage
}

// ServeHTTP upgrades a client of the product in the URL.
func (s *floorServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/metrics" {
		fmt.Fprintf(w, "go_goroutines %d\n", runtime.NumGoroutine())
		return
	}
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	c := &floorClient{conn: conn, queue: make(chan *websocket.PreparedMessage, floorQueueMax)}
	product := r.URL.Query().Get("product")
	s.mu.Lock()
	if s.clients[product] == nil {
		s.clients[product] = map[*floorClient]bool{}
	}
	s.clients[product][c] = true
	s.mu.Unlock()
	go c.write()
	go func() {
		c.read()
		s.mu.Lock()
		delete(s.clients[product], c)
		s.mu.Unlock()
		close(c.queue)
	}()
}

// change sends a message of the size of Onhand's, prepared once.
func (s *floorServer) change(product string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes[product]++
	message, err := websocket.NewPreparedMessage(websocket.TextMessage, floorMessage(product, s.changes[product]))
	if err != nil {
		return
	}
	for c := range s.clients[product] {
		select {
		case c.queue <- message:
		default: // a slow client
		}
	}
}

func floorMessage(product string, version int) []byte {
	return fmt.Appendf(nil, `{"id":"1","type":"next","payload":{"data":{"stockChanged":{"productId":%q,"quantityAvailable":%d,`+
		`"availableForSale":true,"status":"IN_STOCK","version":%d}}}}`, product, 1000+version, version)
}

func (c *floorClient) write() {
	for message := range c.queue {
		if c.conn.SetWriteDeadline(time.Now().Add(floorWriteTimeout)) != nil || c.conn.WritePreparedMessage(message) != nil {
			break
		}
	}
	_ = c.conn.Close()
}

func (c *floorClient) read() {
	for {
		if _, _, err := c.conn.NextReader(); err != nil {
			return
		}
	}
}
