package transport

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
	"onhand/graph/transport/protocol"
	"onhand/models"
)

// TestWebSocketAnswersRefusals: a client that asks for it gets a refused token, and the end
// of its token, as the error of each operation; then the connection is closed. UNAVAILABLE
// is no refusal.
func TestWebSocketAnswersRefusals(t *testing.T) {
	t.Parallel()
	token := &revocableToken{make(chan func(), 1)}
	bearer := &guard.Bearer{Verifier: token}
	limits := patient
	limits.refused = 2 * time.Second
	b := newTestServerOn(t, limits, testSettings{admit: func(ctx context.Context, payload json.RawMessage) (context.Context, error) {
		var given struct{ Token string }
		require.NoError(t, json.Unmarshal(payload, &given))
		switch given.Token {
		case "later":
			return nil, models.Unavailable("try again", nil)
		case "good":
			return bearer.Connect(ctx, payload)
		}
		return nil, &models.Fault{Code: models.CodeUnauthenticated, Message: "the token is not valid"}
	}})
	connect := func(token string) *peer {
		p := b.dial(t, protocol.Subprotocol)
		p.send(`{"type":"connection_init","payload":{"onRefusal":"error","token":"` + token + `"}}`)
		return p
	}
	p := connect("bad")
	p.wants(`{"type":"connection_ack"}`)
	for range 2 {
		p.send(tick)
		answer := p.read()
		assert.Contains(t, answer, `{"id":"1","type":"next","payload":{"errors":[{"message":`)
		assert.Contains(t, answer, "the token is not valid")
		p.wants(`{"id":"1","type":"complete"}`)
	}
	code, types := p.closed()
	assert.Equal(t, websocket.StatusCode(4403), code)
	assert.Empty(t, types)
	assert.EqualValues(t, 1, b.closing.Closes()["4403"])

	code, types = connect("later").closed()
	assert.Equal(t, websocket.StatusTryAgainLater, code)
	assert.Empty(t, types)

	p = connect("good")
	p.wants(`{"type":"connection_ack"}`)
	p.send(tick)
	b.send(t, "one")
	p.wants(`{"id":"1","type":"next","payload":{"data":{"tick":"one"}}}`)
	(<-token.end)()
	answer := p.read()
	assert.Contains(t, answer, `{"id":"1","type":"next","payload":{"errors":[{"message":`)
	assert.Contains(t, answer, guard.ErrTokenEnded.Message)
	p.wants(`{"id":"1","type":"complete"}`)
	code, types = p.closed()
	assert.Equal(t, websocket.StatusCode(4403), code)
	assert.Empty(t, types)
}

// TestRefusedSocketIsClosed: a connection with a refused token ends at its limit, whatever the client sends.
func TestRefusedSocketIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newTestServerOn(t, defaultLimits, testSettings{virtual: true, admit: func(context.Context, json.RawMessage) (context.Context, error) {
			return nil, &models.Fault{Code: models.CodeUnauthenticated, Message: "the token is not valid"}
		}})
		p := b.dial(t, protocol.Subprotocol)
		began := time.Now()
		p.send(`{"type":"connection_init","payload":{"onRefusal":"error"}}`)
		p.wants(`{"type":"connection_ack"}`)
		for time.Since(began) < defaultLimits.refused-time.Second {
			time.Sleep(time.Second)
			p.send(tick)
			assert.Contains(t, p.read(), "the token is not valid")
			p.wants(`{"id":"1","type":"complete"}`)
		}
		code, _ := p.closed()
		assert.Equal(t, websocket.StatusCode(4403), code)
		assert.GreaterOrEqual(t, time.Since(began), defaultLimits.refused)
		assert.Less(t, time.Since(began), defaultLimits.refused+time.Second)
	})
}

// revocableToken is the verifier of one token, which end revokes.
type revocableToken struct{ end chan func() }

// Verify implements guard.TokenVerifier.
func (*revocableToken) Verify(context.Context, string) (*guard.Identity, error) {
	return &guard.Identity{Subject: "alice"}, nil
}

// OnRevoked implements guard.TokenVerifier.
func (v *revocableToken) OnRevoked(_ *guard.Identity, end func()) (stop func()) {
	v.end <- end
	return func() {}
}
