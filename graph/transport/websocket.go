package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
	"onhand/graph/transport/protocol"
	"onhand/graph/transport/push"
	"onhand/graph/transport/wsframe"
	"onhand/models"
)

// ConnectFunc decides on a connection of graphql-transport-ws. payload is that of
// connection_init, nil where it has none. The returned context is that of all
// operations of the connection, and is made from ctx.
//
// An error refuses the connection with close code 4403, and UNAVAILABLE or RATE_LIMITED with 1013. When the returned context
// ends later, such as with its token, the connection is closed with 4403 too. A client may ask for an answer first
// (protocol.AnswersRefusals).
type ConnectFunc func(ctx context.Context, payload json.RawMessage) (context.Context, error)

// WebSocket answers graphql-transport-ws. allows reports whether the page that sends a
// handshake may connect. connect may be nil.
func (t *Streams) WebSocket(allows func(*http.Request) bool, connect ConnectFunc) graphql.Transport {
	return &webSockets{
		Streams: t, connect: connect,
		handshake: wsframe.Handshake{Protocol: protocol.Subprotocol, Allows: allows, BytesMax: t.bounds.MessageBytes},
	}
}

// webSockets is what all WebSockets of a server share.
type webSockets struct {
	*Streams
	connect   ConnectFunc
	handshake wsframe.Handshake
	workers   push.Workers // write the results of pushed operations
}

// Supports implements graphql.Transport.
func (*webSockets) Supports(r *http.Request) bool { return wsframe.IsHandshake(r) }

// Do implements graphql.Transport. It returns after the handshake, so that the
// goroutine and the buffers of net/http are free. The socket keeps the values of the
// request's context.
func (t *webSockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	pass := t.enter(w, r)
	if pass == nil {
		return
	}
	conn, acceptable, err := wsframe.Accept(w, r, t.handshake)
	var refused wsframe.Refusal
	if errors.As(err, &refused) {
		code := models.CodeBadUserInput
		if refused.Status == http.StatusForbidden {
			code = models.CodeForbidden
		}
		guard.Refuse(w, refused.Status, code, refused.Message)
	}
	if err != nil {
		pass.Leave()
		return
	}
	boundSendBuffer(conn.Net())
	s := &socket{shared: t, exec: exec, conn: conn, pass: pass, began: time.Now(), lifetime: t.lifetime()}
	s.ctx, s.cancel = context.WithCancel(guard.Streaming(context.WithoutCancel(r.Context())))
	t.closing.add(s, t.limits.tickInterval())
	if !acceptable {
		s.end(protocol.NotAcceptable)
	}
	go s.read()
}
