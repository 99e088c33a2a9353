package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/checker"
	"onhand/faults/load"
)

const (
	// silentSockets never send connection_init; strangersEach is how many do each other thing.
	silentSockets, strangersEach = 1000, 200
	// headersLimit is how soon a connection that sends no whole header must be closed, and a socket without connection_init:
	// 5 s, and the closing handshake.
	headersLimit = 12 * time.Second
	// bodiesLimit is the same for a body: 30 s from its header.
	bodiesLimit = 40 * time.Second
	// deafSockets open so many subscriptions each, and deafStreams event streams, and read nothing.
	deafSockets, deafSubscriptions, deafStreams = 20, 100, 100
	// deafLimit is how soon they must be disconnected: 10 s after their buffers are full.
	deafLimit = 25 * time.Second
	// readAgainLimit is how long they may take to read what was sent to them.
	readAgainLimit = 20 * time.Second
)

// TestF20SlowRequests: 1,000 sockets that never send connection_init, connections that send nothing, half a handshake, and
// headers and bodies byte by byte. Each is closed in its time, sockets with 4408. Customers and subscribers notice nothing,
// and memory and goroutines come back.
func TestF20SlowRequests(t *testing.T) {
	s := Open(t, Setup{Customers: 4, ThinkTime: 20 * time.Millisecond})
	l := s.Load()
	l.More(200)
	before := s.sumOf("go_goroutines")
	sockets := load.NewStrangers(t, s.Target, silentSockets, load.Stranger{Sends: load.Handshake})
	nothing := load.NewStrangers(t, s.Target, strangersEach, load.Stranger{})
	half := load.NewStrangers(t, s.Target, strangersEach, load.Stranger{Sends: load.Handshake[:len(load.Handshake)/2]})
	headers := load.NewStrangers(t, s.Target, strangersEach, load.Stranger{Sends: "GET /graphql HTTP/1.1\r\nHost: HOST\r\nX-Slow: ", Dribble: strings.Repeat("x", 1000)})
	bodies := load.NewStrangers(t, s.Target, strangersEach, load.Stranger{
		Sends: "POST /graphql HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n", Dribble: strings.Repeat(" ", 1000),
	})
	t.Logf("%.0f goroutines before, %.0f with the strangers", before, s.sumOf("go_goroutines"))
	s.Await(headersLimit, "sockets without connection_init and slow headers are closed", func() bool {
		return sockets.Ended() == silentSockets && nothing.Ended() == strangersEach && half.Ended() == strangersEach && headers.Ended() == strangersEach
	})
	l.More(200)
	s.Await(bodiesLimit, "slow bodies are closed", func() bool { return bodies.Ended() == strangersEach })
	l.Stop()

	sockets.Leave()
	for _, answer := range sockets.Answers() {
		assert.True(t, strings.HasSuffix(answer, "\x11\x38Connection initialisation timeout"), "%q", answer)
	}
	assert.EqualValues(t, silentSockets, s.sumOf(`onhand_socket_closes_total{code="4408"}`))
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	l.CheckUndisturbed(t)
	s.Check() // memory and goroutines among it
}

// TestF20DeafClients: clients open as many subscriptions as they like, and read nothing from the first byte on. They are
// disconnected, sockets with 1013, which they find when they read again. Customers and subscribers notice nothing, and no
// memory is kept for them.
func TestF20DeafClients(t *testing.T) {
	s := Open(t, Setup{Customers: 4, ThinkTime: 20 * time.Millisecond})
	products := s.stockChanging()
	changes := load.StartChanges(s.Target, products)
	l := s.Load()
	l.More(200)
	open := s.openStreams()
	sockets := load.NewStrangers(t, s.Target, deafSockets, load.Stranger{Sends: load.ManySubscriptions(deafSubscriptions, products), Deaf: true})
	streams := load.NewStrangers(t, s.Target, deafStreams, load.Stranger{Sends: load.EventStream(products), Deaf: true})
	s.Await(readLimit, "the deaf are connected", func() bool { return s.openStreams() == open+deafSockets+deafStreams })
	heapMax := s.awaitStreamsWithin(deafLimit, open)
	assert.Less(t, heapMax, float64(checker.HeapMore))
	assert.EqualValues(t, deafSockets, s.sumOf(`onhand_socket_closes_total{code="1013"}`))
	for _, answer := range sockets.ReadAll(readAgainLimit) {
		assert.True(t, strings.HasSuffix(answer, "\x03\xf5the client does not read"), "%d bytes, %q", len(answer), answer[max(0, len(answer)-100):])
	}
	changes.Stop()
	l.Stop()
	sockets.Leave()
	streams.Leave()
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s", sub)
	}
	l.CheckUndisturbed(t)
	s.Check()
}

// sumOf is the sum of a metric over all instances.
func (s *Shop) sumOf(name string) (sum float64) {
	s.t.Helper()
	for _, m := range s.metrics() {
		sum += m[name]
	}
	return sum
}
