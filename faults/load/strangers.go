package load

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// dribbleEvery is how often a stranger sends one more byte.
	dribbleEvery = 500 * time.Millisecond
	// strangerReadMax is how much of the answers a stranger keeps.
	strangerReadMax = 1 << 20
)

// Stranger is what each connection of a group of Strangers does.
type Stranger struct {
	// Sends is what it sends at once; HOST stands for the address of the instance.
	Sends string
	// Dribble is sent after it, one byte now and then.
	Dribble string
	// Deaf: it reads nothing.
	Deaf bool
}

// Strangers are connections of TCP that do not keep to the rules. Each stays open until the server closes it.
type Strangers struct {
	t       *testing.T
	conns   []*net.TCPConn
	ended   atomic.Int64
	answers []string
	running sync.WaitGroup
	gone    chan struct{} // closed by Leave
	leave   sync.Once
}

// NewStrangers opens n connections, over all instances.
func NewStrangers(t *testing.T, target *Target, n int, kind Stranger) *Strangers {
	t.Helper()
	s := &Strangers{t: t, answers: make([]string, n), gone: make(chan struct{})}
	t.Cleanup(s.Leave)
	dialer := &net.Dialer{Timeout: AttemptLimit}
	if kind.Deaf {
		dialer.Control = narrow
	}
	for i := range n {
		host := strings.TrimPrefix(target.url(i), "http://")
		conn, err := dialer.DialContext(context.Background(), "tcp", host)
		if err != nil {
			t.Fatalf("stranger %d: %v", i, err)
		}
		s.conns = append(s.conns, conn.(*net.TCPConn))
		s.running.Go(func() { s.send(conn, strings.ReplaceAll(kind.Sends, "HOST", host), kind.Dribble) })
		if !kind.Deaf {
			s.running.Go(func() { s.answers[i] = s.read(conn) })
		}
	}
	return s
}

// send ends when the server closes the connection, and Leave ends it.
func (s *Strangers) send(conn net.Conn, text, dribble string) {
	if _, err := io.WriteString(conn, text); err != nil {
		return
	}
	for i := range len(dribble) {
		select {
		case <-s.gone:
			return
		case <-time.After(dribbleEvery):
		}
		if _, err := io.WriteString(conn, dribble[i:i+1]); err != nil {
			return
		}
	}
}

// read reads until the server closes the connection.
func (s *Strangers) read(conn net.Conn) string {
	defer s.ended.Add(1)
	answer, _ := io.ReadAll(io.LimitReader(conn, strangerReadMax)) // a reset is an end, too
	return string(answer)
}

// Ended is how many connections the server has closed.
func (s *Strangers) Ended() int { return int(s.ended.Load()) }

// ReadAll has deaf strangers read what the server sent before it closed their connections. It returns the answers.
func (s *Strangers) ReadAll(limit time.Duration) []string {
	var reading sync.WaitGroup
	for i, conn := range s.conns {
		reading.Go(func() {
			_ = conn.SetReadBuffer(strangerReadMax) // it only reads sooner so
			_ = conn.SetReadDeadline(time.Now().Add(limit))
			s.answers[i] = s.read(conn)
		})
	}
	reading.Wait()
	return s.answers
}

// Leave closes the connections that are left.
func (s *Strangers) Leave() {
	s.leave.Do(func() {
		close(s.gone)
		for _, conn := range s.conns {
			_ = conn.Close() // the server may have closed it
		}
		s.running.Wait()
	})
}

// Answers are what those that are not deaf got, after Leave.
func (s *Strangers) Answers() []string { return s.answers }

// Handshake is that of a WebSocket.
const Handshake = "GET /graphql HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Protocol: graphql-transport-ws\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// ManySubscriptions are a handshake and so many subscriptions to products.
func ManySubscriptions(n int, products []string) string {
	text := Handshake + maskedFrame(`{"type":"connection_init"}`)
	for i := range n {
		message, _ := json.Marshal(wsMessage{ID: fmt.Sprint(i), Type: "subscribe", Payload: watchRequest(largeDocument(), products)}) // cannot fail
		text += maskedFrame(string(message))
	}
	return text
}

// EventStream is the request of an event stream of products.
func EventStream(products []string) string {
	body := watchRequest(largeDocument(), products)
	return fmt.Sprintf("POST /graphql HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// largeDocument asks for the title of a product many times, so that events are large.
func largeDocument() string {
	document := `subscription Crowd($ids: [ID!]!) { stockChanged(productIds: $ids) { version product { `
	for i := range crowdTitles {
		document += fmt.Sprintf("t%d: title ", i)
	}
	return document + "} } }"
}

// maskedFrame is a client's text message as a frame. Its mask is zero.
func maskedFrame(text string) string {
	b := []byte{0x81, 0x80 | 126}
	if len(text) < 126 {
		b[1] = 0x80 | byte(len(text))
	} else {
		b = binary.BigEndian.AppendUint16(b, uint16(len(text)))
	}
	return string(append(b, 0, 0, 0, 0)) + text
}
