package transport

import (
	"context"
	"encoding/json"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/transport/protocol"
)

// watchers connects with a token that the test can revoke, asks for errors, and subscribes to so many sources.
func (b *testServer) watchers(t *testing.T, count int) (p *peer, sources []*testSource) {
	t.Helper()
	p = b.dial(t, protocol.Subprotocol)
	p.send(`{"type":"connection_init","payload":{"onRefusal":"error","token":"good"}}`)
	p.wants(`{"type":"connection_ack"}`)
	for i := range count {
		p.send(pushedMessage(strconv.Itoa(i)))
		sources = append(sources, b.source(t))
		p.wants(pushedNext(strconv.Itoa(i), "first"))
	}
	return p, sources
}

// onlySocket is the WebSocket of a server that has one.
func (b *testServer) onlySocket(t *testing.T) *socket {
	t.Helper()
	b.closing.mu.Lock()
	defer b.closing.mu.Unlock()
	for s := range b.closing.streams {
		return s.(*socket)
	}
	require.Fail(t, "no WebSocket is open")
	return nil
}

func (s *socket) isForbidden() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forbidden
}

// TestNoDataAfterTheToken: sources go on while the token of their client ends. Each operation gets one refusal and its end,
// and no data after the first of them.
func TestNoDataAfterTheToken(t *testing.T) {
	t.Parallel()
	token := &revocableToken{make(chan func(), 1)}
	b := newTestServerOn(t, patient, testSettings{admit: (&guard.Bearer{Verifier: token}).Connect})
	p, sources := b.watchers(t, 16)
	for _, source := range sources {
		go func() {
			for n := 0; ; n++ {
				select {
				case <-source.closed:
					return
				default:
					source.put(strconv.Itoa(n))
				}
			}
		}()
	}
	(<-token.end)()
	refused, completed := map[string]int{}, map[string]int{}
	for {
		text, err := p.next()
		if err != nil {
			assert.Equal(t, websocket.StatusCode(4403), websocket.CloseStatus(err))
			break
		}
		var m struct {
			Type, ID string
			Payload  struct{ Errors []any }
		}
		require.NoError(t, json.Unmarshal([]byte(text), &m))
		switch {
		case m.Type == "complete":
			completed[m.ID]++
		case len(m.Payload.Errors) > 0:
			assert.Contains(t, text, guard.ErrTokenEnded.Message)
			refused[m.ID]++
		default:
			assert.Empty(t, refused, "data after a refusal: %s", text)
		}
	}
	assert.Len(t, refused, len(sources))
	assert.Equal(t, refused, completed)
	for id, count := range refused {
		assert.Equal(t, 1, count, id)
	}
	for _, source := range sources {
		source.awaitClosed(t)
	}
}

// TestTokenEndsDuringAWrite: the token ends while a message is written to a slow client. Sources are closed at once, a new
// operation is not added, and nothing but the refusal follows.
func TestTokenEndsDuringAWrite(t *testing.T) {
	t.Parallel()
	token := &revocableToken{make(chan func(), 1)}
	b := newTestServerOn(t, patient, testSettings{admit: (&guard.Bearer{Verifier: token}).Connect})
	p, sources := b.watchers(t, 1)
	s := b.onlySocket(t)
	s.sending.Lock()
	sources[0].put("queued")
	(<-token.end)()
	sources[0].awaitClosed(t)
	require.True(t, s.isForbidden())
	sources[0].put("later")
	p.send(pushedMessage("late"))
	select {
	case <-b.sources:
		assert.Fail(t, "an operation was added after the end")
	case <-time.After(50 * time.Millisecond):
	}
	s.unlock()
	answer := p.read()
	assert.Contains(t, answer, `{"id":"0","type":"next","payload":{"errors":[{"message":`)
	assert.Contains(t, answer, guard.ErrTokenEnded.Message)
	p.wants(`{"id":"0","type":"complete"}`)
	code, types := p.closed()
	assert.Equal(t, websocket.StatusCode(4403), code)
	assert.Empty(t, types)
}

// TestTokenEndIsBounded: a client that does not read keeps its connection no longer than a write may take.
func TestTokenEndIsBounded(t *testing.T) {
	t.Parallel()
	token := &revocableToken{make(chan func(), 1)}
	limits := patient
	limits.write, limits.refused = quick.write, quick.write // the shortest limit sets the ticker's interval
	b := newTestServerOn(t, limits, testSettings{admit: (&guard.Bearer{Verifier: token}).Connect})
	_, _ = b.watchers(t, 1)
	s := b.onlySocket(t)
	s.sending.Lock() // as by a write that does not end
	defer s.unlock()
	(<-token.end)()
	require.Eventually(t, s.isEnded, patience, time.Millisecond)
}

// TestSocketForgetsItsPayload: the payload of connection_init, which has the token and may be large, does not stay for as
// long as the connection.
func TestSocketForgetsItsPayload(t *testing.T) {
	t.Parallel()
	payload := make(chan weak.Pointer[byte], 1)
	b := newTestServerOn(t, patient, testSettings{admit: func(ctx context.Context, given json.RawMessage) (context.Context, error) {
		payload <- weak.Make(&given[0])
		return ctx, nil
	}})
	p := b.dial(t, protocol.Subprotocol)
	p.send(`{"type":"connection_init","payload":{"token":"` + strings.Repeat("x", 32<<10) + `"}}`)
	p.wants(`{"type":"connection_ack"}`)
	held := <-payload
	require.Eventually(t, func() bool { runtime.GC(); return held.Value() == nil }, patience, 10*time.Millisecond)
	p.send(`{"type":"ping"}`) // the connection is open
	p.wants(`{"type":"pong"}`)
}
