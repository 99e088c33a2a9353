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
	"syscall"
	"testing"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

const (
	// frozenTitles is how often a frozen client asks for the title of the product in each event, so that events are
	// large: 255 characters each time.
	frozenTitles = 40
	// frozenSegment and frozenWindow are the largest packet and the receive buffer of a frozen client, in bytes: those of
	// a phone far away. Over loopback's own the kernel would keep megabytes for each client before a write blocks.
	frozenSegment, frozenWindow = 1400, 4096
	// frozenAtOnce is how many connect at the same time.
	frozenAtOnce = 8
)

// frozen are clients that subscribed and have stopped reading.
type frozen struct {
	transport *http.Transport
	mu        sync.Mutex
	closers   []func() error
}

// freeze connects n clients of each kind to every copy in turn, all of which watch these products and never read.
func (s *Scene) freeze(t *testing.T, n int, products []string) *frozen {
	t.Helper()
	f := &frozen{transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{Timeout: attemptLimit, Control: narrow}).DialContext}}
	t.Cleanup(f.leave)
	query := `subscription Frozen($ids: [ID!]!) { stockChanged(productIds: $ids) { version `
	for i := range frozenTitles {
		query += fmt.Sprintf("t%d: product { title } ", i)
	}
	request, err := json.Marshal(map[string]any{"query": query + "} }", "variables": map[string]any{"ids": products}})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	turns := make(chan struct{}, frozenAtOnce)
	for i := range 2 * n {
		connect, url := f.webSocket, s.Copies[i/2%len(s.Copies)].URL()
		if i%2 == 1 {
			connect = f.eventStream
		}
		turns <- struct{}{}
		group.Go(func() {
			defer func() { <-turns }()
			if err := connect(url, request); err != nil {
				t.Errorf("frozen client %d: %v", i, err)
			}
		})
	}
	group.Wait()
	return f
}

// narrow is called before a socket connects.
func narrow(_, _ string, raw syscall.RawConn) error {
	var err error
	ctlErr := raw.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, frozenWindow); err == nil {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, frozenSegment)
		}
	})
	if err == nil {
		err = ctlErr
	}
	return err
}

func (f *frozen) keep(closer func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closers = append(f.closers, closer)
}

func (f *frozen) webSocket(url string, request json.RawMessage) error {
	ctx, cancel := context.WithTimeout(context.Background(), attemptLimit)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, strings.Replace(url, "http", "ws", 1)+"/graphql",
		&websocket.DialOptions{Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: &http.Client{Transport: f.transport}})
	if err != nil {
		return err
	}
	f.keep(conn.CloseNow)
	for _, m := range []message{{Type: "connection_init"}, {ID: "1", Type: "subscribe", Payload: request}} {
		if err := wsjson.Write(ctx, conn, m); err != nil {
			return err
		}
	}
	return nil
}

func (f *frozen) eventStream(url string, request json.RawMessage) error {
	r, err := http.NewRequest(http.MethodPost, url+"/graphql", bytes.NewReader(request))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := f.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	f.keep(response.Body.Close)
	return nil
}

// leave closes what is left of them.
func (f *frozen) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, closer := range f.closers {
		_ = closer() // the server has closed it long ago
	}
	f.closers = nil
}
