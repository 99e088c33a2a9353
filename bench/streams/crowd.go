package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
)

const (
	// dialersMax is how many clients connect at a time.
	dialersMax = 64
	// sourcesMax is how many loopback addresses the clients have, so that ports do not run out.
	sourcesMax = 20
	// dialTimeout bounds the connection of one client, its first value included.
	dialTimeout = 30 * time.Second
	// settleMax bounds the wait until all clients have the newest version.
	settleMax = 15 * time.Second
)

// crowd is the clients of one turn.
type crowd struct {
	clients []*subscriber
	sources []*changes // by product
	latency *loadgen.Histogram
	arrived atomic.Int64
	reading sync.WaitGroup
	failure atomic.Pointer[error]
}

// changes is when the changes of a product were published.
type changes struct {
	base   int64          // the version before the first
	sent   [1 << 12]int64 // by change, in nanoseconds since started
	number atomic.Int64   // of changes
}

var started = time.Now()

// subscriber is one client.
type subscriber struct {
	conn    net.Conn
	product int
	version atomic.Int64
	at      int64 // when that came, in nanoseconds since started
	r       *bufio.Reader
	used    int // bytes of the message that next returned
}

// connect connects so many clients, client i to product i modulo products. protocol is graphql-transport-ws, or none
// for the floor.
func connect(address string, clients, products int, graphql bool) (_ *crowd, took time.Duration, err error) {
	c := &crowd{clients: make([]*subscriber, clients), latency: &loadgen.Histogram{}}
	for range products {
		c.sources = append(c.sources, &changes{})
	}
	begin := time.Now()
	var dialing sync.WaitGroup
	var next atomic.Int64
	for range dialersMax {
		dialing.Go(func() {
			for i := next.Add(1) - 1; i < int64(clients) && c.failure.Load() == nil; i = next.Add(1) - 1 {
				s, err := dial(address, int(i), int(i)%products, graphql)
				if err != nil {
					err = fmt.Errorf("client %d: %w", i, err)
					c.failure.Store(&err)
					return
				}
				c.clients[i] = s
			}
		})
	}
	dialing.Wait()
	took = time.Since(begin)
	if failed := c.failure.Load(); failed != nil {
		c.close()
		return nil, 0, *failed
	}
	for _, s := range c.clients {
		c.reading.Go(func() { c.read(s) })
	}
	return c, took, nil
}

// dial connects one client. Over graphql-transport-ws it subscribes and reads the first value.
func dial(address string, number, product int, graphql bool) (_ *subscriber, err error) {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(2+number%sourcesMax))}, Timeout: dialTimeout}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &subscriber{conn: conn, product: product, r: bufio.NewReaderSize(conn, readerBytes)}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if err := conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return nil, err
	}
	request := "GET /graphql?product=" + fixture.ShopProduct(product) + " HTTP/1.1\r\nHost: " + address + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	if graphql {
		request += "Sec-WebSocket-Protocol: graphql-transport-ws\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	if err := readHandshake(s.r); err != nil {
		return nil, err
	}
	if graphql {
		if err := s.subscribe(); err != nil {
			return nil, err
		}
	}
	return s, conn.SetDeadline(time.Time{})
}

// readHandshake reads the answer to the handshake.
func readHandshake(r *bufio.Reader) error {
	for line := 0; ; line++ {
		text, err := r.ReadString('\n')
		switch {
		case err != nil:
			return fmt.Errorf("the answer to the handshake: %w", err)
		case line == 0 && !strings.HasPrefix(text, "HTTP/1.1 101 "):
			return fmt.Errorf("refused: %s", text)
		case text == "\r\n":
			return nil
		}
	}
}

const document = "subscription S($ids: [ID!]!) { stockChanged(productIds: $ids) { productId quantityAvailable availableForSale status version } }"

// subscribe sends connection_init, subscribes after the acknowledgement, and reads the first value.
func (s *subscriber) subscribe() error {
	if err := s.send(`{"type":"connection_init"}`); err != nil {
		return err
	}
	if _, err := s.next(); err != nil {
		return err
	}
	if err := s.send(`{"id":"1","type":"subscribe","payload":{"query":"` + document + `","variables":{"ids":["` + fixture.ShopProduct(s.product) + `"]}}}`); err != nil {
		return err
	}
	message, err := s.next()
	if err != nil {
		return err
	}
	version, ok := versionIn(message)
	if !ok {
		return fmt.Errorf("the first value is %q", message)
	}
	s.version.Store(version)
	return nil
}

// send writes a masked text frame.
func (s *subscriber) send(text string) error {
	frame := []byte{0x81}
	if len(text) < 126 {
		frame = append(frame, 0x80|byte(len(text)))
	} else {
		frame = binary.BigEndian.AppendUint16(append(frame, 0x80|126), uint16(len(text)))
	}
	_, err := s.conn.Write(append(append(frame, 0, 0, 0, 0), text...)) // masked with zeros
	return err
}

// next reads a frame; its payload is valid until the next call.
func (s *subscriber) next() ([]byte, error) {
	if s.used > 0 {
		_, _ = s.r.Discard(s.used) // it was peeked
		s.used = 0
	}
	header, err := s.r.Peek(4) // no message has less than two bytes
	if err != nil {
		return nil, err
	}
	n, size := int(header[1]), 2
	if n == 126 {
		n, size = int(binary.BigEndian.Uint16(header[2:])), 4
	}
	if header[0] != 0x81 || n > readerBytes-size {
		return nil, fmt.Errorf("not a text message: %x", header)
	}
	s.used = size + n
	frame, err := s.r.Peek(s.used)
	if err != nil {
		return nil, err
	}
	return frame[size:], nil
}

// readerBytes is the buffer of a client, which has room for a message.
const readerBytes = 1 << 10

var versionKey = []byte(`"version":`)

func versionIn(message []byte) (int64, bool) {
	_, rest, found := bytes.Cut(message, versionKey)
	end := 0
	for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
		end++
	}
	version, err := strconv.ParseInt(string(rest[:end]), 10, 64)
	return version, found && err == nil
}

// read reads until the connection ends.
func (c *crowd) read(s *subscriber) {
	for {
		message, err := s.next()
		if err != nil {
			return
		}
		at := int64(time.Since(started))
		version, ok := versionIn(message)
		switch {
		case ok:
			c.got(s, version, at)
		case bytes.Contains(message, []byte(`"ping"`)):
			_ = s.send(`{"type":"pong"}`) // a lost connection ends the loop
		default:
			err := fmt.Errorf("unexpected: %q", message)
			c.failure.Store(&err)
			return
		}
	}
}

// got notes a value. The first values and those of a warm-up have no change.
func (c *crowd) got(s *subscriber, version, at int64) {
	atomic.StoreInt64(&s.at, at)
	if last := s.version.Swap(version); version <= last {
		err := fmt.Errorf("version %d after %d", version, last)
		c.failure.Store(&err)
	}
	c.timed(c.sources[s.product], version, at)
}

// timed counts the latency of a change.
func (c *crowd) timed(source *changes, version, at int64) {
	if n := version - source.base; n >= 1 && n <= source.number.Load() {
		c.latency.Add(time.Duration(at - atomic.LoadInt64(&source.sent[n-1])))
		c.arrived.Add(1)
	}
}

// publishing notes that a change of a product is published now.
func (c *crowd) publishing(product int) {
	source := c.sources[product]
	n := source.number.Load()
	atomic.StoreInt64(&source.sent[n], int64(time.Since(started)))
	source.number.Store(n + 1)
}

// settle waits until all clients have the newest version.
func (c *crowd) settle() error {
	deadline := time.Now().Add(settleMax)
	for _, s := range c.clients {
		source := c.sources[s.product]
		for s.version.Load() < source.base+source.number.Load() {
			if failed := c.failure.Load(); failed != nil {
				return *failed
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("a client has version %d, not %d", s.version.Load(), source.base+source.number.Load())
			}
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

func (s *subscriber) close() {
	if conn, ok := s.conn.(*net.TCPConn); ok {
		_ = conn.SetLinger(0) // otherwise its port is not free for a minute
	}
	_ = s.conn.Close()
}

// close ends all connections.
func (c *crowd) close() {
	for _, s := range c.clients {
		if s != nil {
			s.close()
		}
	}
	c.reading.Wait()
}
