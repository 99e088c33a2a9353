package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

const (
	// crowdTitles is how often each of a crowd asks for the title of the product in each event, so that events are large:
	// 255 characters each time.
	crowdTitles = 20
	// crowdSegment and crowdWindow are the largest packet and the receive buffer of each, in bytes: those of a phone far
	// away. Over loopback's own the kernel would keep megabytes for each client before a write blocks.
	crowdSegment, crowdWindow = 1400, 4096
	// crowdAtOnce is how many connect at the same time.
	crowdAtOnce = 8
)

// crowd are clients that subscribed, read what comes, and at some moment stop reading, all of them.
type crowd struct {
	t         *testing.T
	transport *http.Transport
	hearing   atomic.Int64   // how many have been given a product
	frozen    atomic.Bool    // nobody is to read on
	reading   sync.WaitGroup // those that still read
	mu        sync.Mutex
	closers   []func() error
}

// crowd connects n clients of each kind to every copy in turn, all of which watch these products.
func (s *Scene) crowd(t *testing.T, n int, products []string) *crowd {
	t.Helper()
	c := &crowd{t: t, transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: attemptLimit, Control: narrow}).DialContext}}
	t.Cleanup(c.leave)
	query := `subscription Crowd($ids: [ID!]!) { stockChanged(productIds: $ids) { version product { `
	for i := range crowdTitles {
		query += fmt.Sprintf("t%d: title ", i)
	}
	request, err := json.Marshal(map[string]any{"query": query + "} } }", "variables": map[string]any{"ids": products}})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	turns := make(chan struct{}, crowdAtOnce)
	for i := range 2 * n {
		connect, url := c.webSocket, s.Copies[i/2%len(s.Copies)].URL()
		if i%2 == 1 {
			connect = c.eventStream
		}
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			read, err := connect(url, request)
			if err != nil {
				t.Errorf("client %d of the crowd: %v", i, err)
				return
			}
			c.reading.Go(func() { c.listen(i, read) })
		})
	}
	group.Wait()
	s.await(startLimit, "the crowd hears", func() bool { return c.hearing.Load() == int64(2*n) || t.Failed() })
	return c
}

// listen reads for one client until all freeze. read tells whether what it read was a stock.
func (c *crowd) listen(i int, read func() (bool, error)) {
	for heard := false; !c.frozen.Load(); {
		stock, err := read()
		if err != nil {
			if !c.frozen.Load() {
				c.t.Errorf("client %d of the crowd was cut off although it read: %v", i, err)
			}
			return
		}
		if stock && !heard {
			heard = true
			c.hearing.Add(1)
		}
	}
}

// freeze has all of them stop reading. Each takes in one more message, so that their products must change.
func (c *crowd) freeze() {
	c.frozen.Store(true)
	c.reading.Wait()
}

// narrow is called before a socket connects.
func narrow(_, _ string, raw syscall.RawConn) error {
	var err error
	ctlErr := raw.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, crowdWindow); err == nil {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, crowdSegment)
		}
	})
	if err == nil {
		err = ctlErr
	}
	return err
}

func (c *crowd) keep(closer func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, closer)
}

func (c *crowd) webSocket(url string, request json.RawMessage) (read func() (bool, error), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: &http.Client{Transport: c.transport}})
	if err != nil {
		return nil, err
	}
	c.keep(conn.CloseNow)
	for _, m := range []message{{Type: "connection_init"}, {ID: "1", Type: "subscribe", Payload: request}} {
		if err := wsjson.Write(ctx, conn, m); err != nil {
			return nil, err
		}
	}
	return func() (stock bool, err error) {
		_, raw, err := conn.Read(context.Background()) // ended by leave
		if err == nil && bytes.Contains(raw, []byte(`"type":"ping"`)) {
			err = wsjson.Write(context.Background(), conn, message{Type: "pong"})
		}
		return bytes.Contains(raw, []byte(`"type":"next"`)), err
	}, nil
}

func (c *crowd) eventStream(url string, request json.RawMessage) (read func() (bool, error), err error) {
	r, err := http.NewRequest(http.MethodPost, url+"/graphql", bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	c.keep(response.Body.Close)
	buffer := make([]byte, crowdWindow)
	return func() (stock bool, err error) {
		n, err := response.Body.Read(buffer)
		return bytes.Contains(buffer[:n], []byte("event: next")), err
	}, nil
}

// leave closes what is left of them.
func (c *crowd) leave() {
	c.frozen.Store(true)
	defer c.reading.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, closer := range c.closers {
		_ = closer() // the server has closed it long ago
	}
	c.closers = nil
}
