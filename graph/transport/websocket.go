package transport

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
	"onhand/graph/transport/push"
	"onhand/graph/transport/wsframe"
	"onhand/models"
)

const readBytesMax = guard.BodyBytesMax

// subprotocol is the only supported one.
const subprotocol = "graphql-transport-ws"

// ConnectFunc decides on a connection of graphql-transport-ws. payload is that of
// connection_init, nil where it has none. The returned context is that of all
// operations of the connection, and is made from ctx.
//
// An error refuses the connection with close code 4403. So does the end of the returned
// context later, such as that of a token.
type ConnectFunc func(ctx context.Context, payload json.RawMessage) (context.Context, error)

// WebSocket answers graphql-transport-ws. allows reports whether the page that sends a
// handshake may connect. connect may be nil.
func WebSocket(closing *Closing, allows func(*http.Request) bool, connect ConnectFunc) graphql.Transport {
	return webSocket(closing, allows, connect, defaultLimits)
}

func webSocket(closing *Closing, allows func(*http.Request) bool, connect ConnectFunc, limits limits) *webSockets {
	return &webSockets{
		closing: closing, connect: connect, limits: limits,
		handshake: wsframe.Handshake{Protocol: subprotocol, Allows: allows, BytesMax: readBytesMax},
	}
}

// webSockets is what all WebSockets of a server share.
type webSockets struct {
	closing   *Closing
	connect   ConnectFunc
	limits    limits
	handshake wsframe.Handshake
	workers   push.Workers // write the results of pushed operations
}

// Supports implements graphql.Transport.
func (*webSockets) Supports(r *http.Request) bool { return wsframe.IsHandshake(r) }

// Do implements graphql.Transport. It returns after the handshake, so that the
// goroutine and the buffers of net/http are free. The socket keeps the values of the
// request's context.
func (t *webSockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	conn, protocol, err := wsframe.Accept(w, r, t.handshake)
	var refused wsframe.Refusal
	if errors.As(err, &refused) {
		code := models.CodeBadUserInput
		if refused.Status == http.StatusForbidden {
			code = models.CodeForbidden
		}
		guard.Refuse(w, refused.Status, code, refused.Message)
	}
	if err != nil {
		return
	}
	boundSendBuffer(conn.Net())
	s := &socket{shared: t, exec: exec, conn: conn, began: time.Now()}
	s.ctx, s.cancel = context.WithCancel(guard.Streaming(context.WithoutCancel(r.Context())))
	t.closing.add(s, t.limits.tickInterval())
	if !protocol {
		s.end(wsframe.CloseError{Code: closeSubprotocol, Reason: "Subprotocol not acceptable"})
	}
	go s.read()
}
