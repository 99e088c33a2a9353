package load

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket/wsjson"

	"onhand/faults/wait"
)

const (
	// crowdTitles is how often each of a crowd asks for the title of the product in each event, so that events are large:
	// 255 characters each time.
	crowdTitles = 20
	// crowdSegment and crowdWindow are the largest packet and the receive buffer of each, in bytes: those of a phone far
	// away. With the buffers of loopback the kernel keeps megabytes for each client before a write blocks.
	crowdSegment, crowdWindow = 1400, 4096
	// crowdDials is how many connect at the same time.
	crowdDials = 8
	// crowdLimit bounds the wait until all have received a product.
	crowdLimit = 40 * time.Second
)

// Crowd are clients that subscribed and read, and at one moment stop reading.
type Crowd struct {
	t         *testing.T
	transport *http.Transport
	receiving atomic.Int64   // how many have received a product
	frozen    atomic.Bool    // none is to read on
	reading   sync.WaitGroup // those that still read
	mu        sync.Mutex
	closers   []func() error
}

// NewCrowd connects n clients of each protocol, over all instances, that watch these products.
func NewCrowd(t *testing.T, target *Target, n int, products []string) *Crowd {
	t.Helper()
	dialer := &net.Dialer{Timeout: AttemptLimit, Control: narrow}
	c := &Crowd{t: t, transport: &http.Transport{DisableKeepAlives: true, DialContext: dialer.DialContext}}
	t.Cleanup(c.Leave)
	request := watchRequest(largeDocument(), products)
	var dialing sync.WaitGroup
	turns := make(chan struct{}, crowdDials)
	for i := range 2 * n {
		connect := c.webSocket
		if i%2 == 1 {
			connect = c.eventStream
		}
		turns <- struct{}{}
		dialing.Go(func() {
			defer func() { <-turns }()
			read, err := connect(target.url(i/2), request)
			if err != nil {
				t.Errorf("client %d of the crowd: %v", i, err)
				return
			}
			c.reading.Go(func() { c.listen(i, read) })
		})
	}
	dialing.Wait()
	wait.Until(t, crowdLimit, "the crowd receives", func() bool { return c.receiving.Load() == int64(2*n) || t.Failed() })
	return c
}

// listen reads for one client until all freeze. read reports whether it read a stock.
func (c *Crowd) listen(i int, read func() (bool, error)) {
	for received := false; !c.frozen.Load(); {
		stock, err := read()
		if err != nil {
			if !c.frozen.Load() {
				c.t.Errorf("client %d of the crowd was cut off although it read: %v", i, err)
			}
			return
		}
		if stock && !received {
			received = true
			c.receiving.Add(1)
		}
	}
}

// Freeze has all of them stop reading. Each reads one more message, so their products must change.
func (c *Crowd) Freeze() {
	c.frozen.Store(true)
	c.reading.Wait()
}

// Leave closes the connections that are left.
func (c *Crowd) Leave() {
	c.frozen.Store(true)
	defer c.reading.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, closer := range c.closers {
		_ = closer() // the server has closed it already
	}
	c.closers = nil
}

func (c *Crowd) atEnd(closer func() error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closers = append(c.closers, closer)
}

// narrow sets the buffers of a socket before it connects.
func narrow(_, _ string, raw syscall.RawConn) error {
	var err error
	controlErr := raw.Control(func(fd uintptr) {
		if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, crowdWindow); err == nil {
			err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, crowdSegment)
		}
	})
	if err == nil {
		err = controlErr
	}
	return err
}

func (c *Crowd) webSocket(url string, request json.RawMessage) (read func() (bool, error), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), AttemptLimit)
	defer cancel()
	conn, err := dialWebSocket(ctx, &http.Client{Transport: c.transport}, url, request)
	if err != nil {
		return nil, err
	}
	c.atEnd(conn.CloseNow)
	return func() (stock bool, err error) {
		_, raw, err := conn.Read(context.Background()) // ended by Leave
		if err == nil && bytes.Contains(raw, []byte(`"type":"ping"`)) {
			err = wsjson.Write(context.Background(), conn, wsMessage{Type: "pong"})
		}
		return bytes.Contains(raw, []byte(`"type":"next"`)), err
	}, nil
}

func (c *Crowd) eventStream(url string, request json.RawMessage) (read func() (bool, error), err error) {
	r, err := newSSERequest(context.Background(), url, request) // ended by Leave
	if err != nil {
		return nil, err
	}
	response, err := c.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	c.atEnd(response.Body.Close)
	buffer := make([]byte, crowdWindow)
	return func() (stock bool, err error) {
		n, err := response.Body.Read(buffer)
		return bytes.Contains(buffer[:n], []byte("event: next")), err
	}, nil
}
