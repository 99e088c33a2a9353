package transport

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/transport/push"
)

// testSource is a push.Source that keeps the latest value.
type testSource struct {
	notify func(now bool)
	closed chan struct{}

	mu     sync.Mutex
	latest []byte
	end    error
}

// put replaces the pending value.
func (s *testSource) put(value string) {
	s.mu.Lock()
	s.latest = []byte(`{"data":{"pushed":"` + value + `"}}`)
	s.mu.Unlock()
	s.notify(false)
}

// finish ends the subscription.
func (s *testSource) finish() {
	s.mu.Lock()
	s.end = io.EOF
	s.mu.Unlock()
	s.notify(false)
}

// Next implements push.Source.
func (s *testSource) Next() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	payload := s.latest
	s.latest = nil
	if payload == nil {
		return nil, s.end
	}
	return payload, nil
}

// Close implements push.Source.
func (s *testSource) Close() { close(s.closed) }

// openSource accepts the offer in a context, and passes the source to the test.
func (b *testServer) openSource(ctx context.Context) bool {
	offer := push.OfferIn(ctx)
	if offer == nil {
		return false
	}
	s := &testSource{notify: offer.Notify, closed: make(chan struct{})}
	s.put("first") // before the offer is accepted
	offer.Accept(s)
	b.sources <- s
	return true
}

func (b *testServer) source(t *testing.T) *testSource {
	t.Helper()
	select {
	case s := <-b.sources:
		return s
	case <-time.After(patience):
		require.Fail(t, "no subscription is pushed")
		return nil
	}
}

func (s *testSource) awaitClosed(t *testing.T) {
	t.Helper()
	select {
	case <-s.closed:
	case <-time.After(patience):
		require.Fail(t, "the source stays open")
	}
}

func pushedMessage(id string) string {
	return `{"id":"` + id + `","type":"subscribe","payload":{"query":"subscription { pushed }"}}`
}

func pushedNext(id, value string) string {
	return `{"id":"` + id + `","type":"next","payload":{"data":{"pushed":"` + value + `"}}}`
}

// TestPushedSubscription: the results of a source arrive, then "complete" at its end. The
// id may be used again.
func TestPushedSubscription(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	for range 3 {
		p.send(pushedMessage("ä"))
		s := b.source(t)
		require.Equal(t, pushedNext("ä", "first"), p.read())
		for i := range 20 {
			value := strings.Repeat("v", 100*i)
			s.put(value)
			require.Equal(t, pushedNext("ä", value), p.read())
		}
		s.finish()
		p.wants(`{"id":"ä","type":"complete"}`)
		s.awaitClosed(t)
	}
}

// TestPushedClientCompletes: after the client's "complete" the source is closed, and no
// more messages come.
func TestPushedClientCompletes(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	for range 100 {
		p.send(pushedMessage("1"))
		s := b.source(t)
		p.wants(pushedNext("1", "first"))
		p.send(`{"id":"1","type":"complete"}`)
		s.awaitClosed(t)
		s.put("late")
	}
	p.send(`{"type":"ping"}`)
	p.wants(`{"type":"pong"}`)
}

// TestPushedClientLeaves: with the connection the sources end, also when the server
// stops.
func TestPushedClientLeaves(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	p.send(pushedMessage("1"))
	one := b.source(t)
	p.send(pushedMessage("2"))
	two := b.source(t)
	_ = p.conn.CloseNow()
	one.awaitClosed(t)
	two.awaitClosed(t)

	p = b.connect(t)
	p.send(pushedMessage("1"))
	s := b.source(t)
	p.wants(pushedNext("1", "first"))
	b.closing.Close()
	s.put("late")
	code, types := p.closed()
	assert.EqualValues(t, 1012, code)
	assert.Empty(t, types)
	s.awaitClosed(t)
}

// TestPushedBesideOthers: on one socket, pushed results and those of queries do not
// disturb each other, and the last value of each source arrives.
func TestPushedBesideOthers(t *testing.T) {
	t.Parallel()
	const subscriptions, changes, queries = 20, 200, 200
	b := newTestServer(t, patient)
	p := b.connect(t)
	sources := make([]*testSource, subscriptions)
	for i := range sources {
		p.send(pushedMessage(strconv.Itoa(i)))
		sources[i] = b.source(t)
	}
	var writing sync.WaitGroup
	for _, s := range sources {
		writing.Go(func() {
			for n := range changes {
				s.put(strconv.Itoa(n))
			}
		})
	}
	writing.Go(func() {
		for i := range queries {
			p.send(fmt.Sprintf(`{"id":"q%d","type":"subscribe","payload":{"query":"{ name }"}}`, i))
		}
	})
	left, answered := map[string]bool{}, 0
	for i := range subscriptions {
		left[pushedNext(strconv.Itoa(i), strconv.Itoa(changes-1))] = true
	}
	for len(left) > 0 || answered < queries {
		text := p.read()
		delete(left, text)
		if strings.HasPrefix(text, `{"id":"q`) && strings.Contains(text, `complete`) {
			answered++
		}
	}
	writing.Wait()
}

// TestPushedStuckClient: a client that stops reading delays no other one, and is cut off.
func TestPushedStuckClient(t *testing.T) {
	t.Parallel()
	limits := patient
	limits.write = quick.write
	b := newTestServer(t, limits)
	var stuck []*testSource
	for range 2 * runtime.GOMAXPROCS(0) { // more than there are workers
		b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+frame(pushedMessage("1")), 4096)
		stuck = append(stuck, b.source(t))
	}
	other := b.connect(t)
	other.send(pushedMessage("1"))
	s := b.source(t)
	other.wants(pushedNext("1", "first"))
	large := strings.Repeat("x", floodBytes)
	for i := range 20 {
		for _, each := range stuck {
			each.put(large)
		}
		s.put(strconv.Itoa(i))
		other.wants(pushedNext("1", strconv.Itoa(i)))
	}
	for _, each := range stuck {
		each.awaitClosed(t)
	}
}

// TestPushedSlowClient: a client that reads late gets the latest value, not a backlog.
func TestPushedSlowClient(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+frame(pushedMessage("1")), 4096)
	s := b.source(t)
	const changes, kilobyte = 2000, 1 << 10
	for i := range changes {
		s.put(strconv.Itoa(i) + strings.Repeat("x", kilobyte))
	}
	s.finish()
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(patience)))
	var all strings.Builder
	for !strings.Contains(all.String(), `"complete"`) {
		_, err := io.CopyN(&all, conn, 1)
		require.NoError(t, err)
	}
	assert.Contains(t, all.String(), `"`+strconv.Itoa(changes-1)+"x")
	assert.Less(t, all.Len(), changes*kilobyte/2)
}

// TestPushedNeedsNoGoroutine: a pushed subscription has no goroutine beside the socket's.
func TestPushedNeedsNoGoroutine(t *testing.T) {
	b := newTestServer(t, patient) // not parallel: it counts what the process has
	p := b.connect(t)
	settled := func() (n int) {
		for last := -1; n != last; {
			last = n
			time.Sleep(10 * time.Millisecond) // no event says that a goroutine has ended
			n = runtime.NumGoroutine()
		}
		return n
	}
	before := settled()
	for i := range operationsMax {
		p.send(pushedMessage(strconv.Itoa(i)))
		b.source(t)
		p.read()
	}
	assert.LessOrEqual(t, settled(), before)
}

// TestPushedConnectionLost: a failed write ends the connection and the source.
func TestPushedConnectionLost(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	conn := b.dialFlood(t, strings.SplitAfter(floodRequests["socket"], "\r\n\r\n")[0]+frame(`{"type":"connection_init"}`)+frame(pushedMessage("1")), 4096)
	s := b.source(t)
	require.NoError(t, conn.(*net.TCPConn).SetLinger(0)) // a reset
	require.NoError(t, conn.Close())
	for open := true; open; {
		s.put("more")
		select {
		case <-s.closed:
			open = false
		default:
		}
	}
	_, err := s.Next()
	require.False(t, errors.Is(err, io.EOF))
}

// TestPushedNow: a result that may be written in the calling goroutine was written when
// notify returns.
func TestPushedNow(t *testing.T) {
	t.Parallel()
	b := newTestServer(t, patient)
	p := b.connect(t)
	p.send(pushedMessage("1"))
	s := b.source(t)
	p.wants(pushedNext("1", "first"))
	for i := 0; ; i++ {
		value := strconv.Itoa(i)
		s.mu.Lock()
		s.latest = []byte(`{"data":{"pushed":"` + value + `"}}`)
		s.mu.Unlock()
		s.notify(true)
		s.mu.Lock()
		taken := s.latest == nil
		s.mu.Unlock()
		p.wants(pushedNext("1", value)) // a worker that wrote the one before writes it else
		if taken {
			break
		}
	}
	s.mu.Lock()
	s.end = io.EOF
	s.mu.Unlock()
	s.notify(true)
	p.wants(`{"id":"1","type":"complete"}`)
	s.awaitClosed(t)
}
