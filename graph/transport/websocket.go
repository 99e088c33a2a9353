package transport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"
	"github.com/coder/websocket"

	"onhand/graph/guard"
	"onhand/models"
)

// limits are the time limits of a stream.
type limits struct {
	write     time.Duration // for one piece of a message
	message   time.Duration // for a whole message
	init      time.Duration // from the handshake to connection_init
	ping      time.Duration // interval; a client that answers no ping is cut off after two
	keepAlive time.Duration // interval of comments on an event stream without events
}

var defaultLimits = limits{write: 10 * time.Second, message: time.Minute, init: 5 * time.Second, ping: 10 * time.Second, keepAlive: 10 * time.Second}

const readBytesMax = guard.BodyBytesMax

// closeRestart is the close code of a server that stops (RFC 6455's registry: 1012,
// Service Restart). Clients reconnect after it.
const closeRestart = 1012

// subprotocol is the only supported one.
const subprotocol = "graphql-transport-ws"

// WebSocket is graphql-transport-ws on coder/websocket.
func WebSocket(closing *Closing, origins []string) graphql.Transport {
	return webSocket(closing, origins, defaultLimits)
}

func webSocket(closing *Closing, origins []string, limits limits) graphql.Transport {
	limit := int64(readBytesMax)
	return streaming{closing: closing, Transport: sockets{transport.Websocket{
		Implementation:   acceptor{closing: closing, origins: origins, limits: limits},
		InitTimeout:      limits.init,
		PingPongInterval: limits.ping,
		PayloadReadLimit: &limit,
	}}}
}

// streaming runs a transport under a context that ends when the server stops and that
// allows subscriptions.
type streaming struct {
	graphql.Transport
	closing *Closing
}

// Do implements graphql.Transport.
func (s streaming) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	boundSendBuffer(r.Context())
	ctx, cancel := s.closing.with(guard.Streaming(r.Context()))
	defer cancel()
	s.Transport.Do(w, r.WithContext(ctx), streamExecutor{exec})
}

// sockets is gqlgen's transport with one answer to a refused handshake.
type sockets struct{ transport.Websocket }

// Do implements graphql.Transport.
func (s sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	s.Websocket.Do(&handshake{ResponseWriter: w}, r, exec)
}

// handshake gives a refusal GraphQL's form, and sends only the first one: both
// coder/websocket and gqlgen write a refusal.
type handshake struct {
	http.ResponseWriter
	refused bool
}

// Unwrap gives coder/websocket access to the connection.
func (h *handshake) Unwrap() http.ResponseWriter { return h.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (h *handshake) WriteHeader(status int) {
	switch {
	case h.refused:
	case status == http.StatusSwitchingProtocols:
		h.ResponseWriter.WriteHeader(status)
	case status == http.StatusForbidden:
		h.refused = true
		guard.Refuse(h.ResponseWriter, status, models.CodeForbidden, "pages of this origin may not open a WebSocket")
	default:
		h.refused = true
		guard.Refuse(h.ResponseWriter, status, models.CodeBadUserInput, "this is no WebSocket handshake")
	}
}

// Write implements http.ResponseWriter.
func (h *handshake) Write(data []byte) (int, error) {
	if h.refused {
		return len(data), nil
	}
	return h.ResponseWriter.Write(data)
}

// acceptor accepts WebSockets whose writes have a deadline. gqlgen's own have none: a
// client that stops reading would block its goroutines for ever.
type acceptor struct {
	closing *Closing
	origins []string
	limits  limits
}

// Accept implements transport.WebsocketImplementation.
func (a acceptor) Accept(w http.ResponseWriter, r *http.Request, _ transport.WebsocketAcceptOptions) (transport.WebsocketConn, error) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:   []string{subprotocol},
		OriginPatterns: a.origins,
	})
	if err != nil {
		return nil, err
	}
	s := &socket{conn: conn, closing: a.closing, write: a.limits.write, message: a.limits.message, protocol: newProtocol()}
	// gqlgen does not close the connection on every return, for example while it
	// waits for connection_init.
	context.AfterFunc(r.Context(), func() { _ = s.WriteClose(int(websocket.StatusNormalClosure), "terminated") })
	return s, nil
}

// socket is one accepted connection.
type socket struct {
	conn     *websocket.Conn
	closing  *Closing
	write    time.Duration // limits.write and limits.message
	message  time.Duration
	protocol *protocol
	sending  sync.Mutex // held while a message is sent

	mu     sync.Mutex
	end    *closeError // set where this package, not gqlgen, ends the connection
	ended  bool        // the close frame is in flight; nothing may follow it
	silent *time.Timer // cuts off a client that answers no ping
}

// NextReader implements transport.WebsocketConn. It returns the next message that is
// for gqlgen.
func (s *socket) NextReader() (int, io.Reader, error) {
	for {
		kind, data, err := s.conn.Read(context.Background()) // ended by Close and by the read deadline
		if code := websocket.CloseStatus(err); code == websocket.StatusNormalClosure || code == websocket.StatusGoingAway {
			err = transport.ErrWebsocketClosed
		}
		if err != nil {
			return int(kind), nil, err
		}
		forward, answer, err := s.protocol.incoming(data)
		var end closeError
		if errors.As(err, &end) {
			s.mu.Lock()
			s.end = &end
			s.mu.Unlock()
			return int(kind), nil, err
		}
		if answer != nil {
			if err := s.send(answer); err != nil {
				return int(kind), nil, err
			}
		}
		if forward != nil {
			return int(kind), bytes.NewReader(forward), nil
		}
	}
}

// errStopping ends a write to a stream that ends. The client subscribes again.
var errStopping = errors.New("the connection ends")

// WriteJSON implements transport.WebsocketConn.
func (s *socket) WriteJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if s.closing.closed() {
		return errStopping // after "complete", clients would not reconnect
	}
	if data = s.protocol.outgoing(data); data == nil {
		return nil
	}
	return s.send(data)
}

func (s *socket) send(data []byte) error {
	s.sending.Lock() // a message that waits here has no deadline yet
	defer s.sending.Unlock()
	if s.isEnding() {
		return errStopping
	}
	err := s.deliver(data)
	if err != nil && !s.isEnding() {
		_ = s.conn.CloseNow()
	}
	return err
}

// deliver writes a message. A large one is written in pieces, each with its deadline.
func (s *socket) deliver(data []byte) error {
	if len(data) <= pieceBytes {
		ctx, cancel := context.WithTimeout(context.Background(), s.write)
		defer cancel()
		return s.conn.Write(ctx, websocket.MessageText, data)
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.message)
	defer cancel()
	stuck := time.AfterFunc(s.write, cancel)
	defer stuck.Stop()
	message, err := s.conn.Writer(ctx, websocket.MessageText)
	if err != nil {
		return err
	}
	err = inPieces(data, func(piece []byte) error {
		stuck.Reset(s.write)
		_, err := message.Write(piece)
		return err
	})
	if err != nil {
		return err // coder/websocket has closed the connection, as after every failed write
	}
	stuck.Reset(s.write)
	return message.Close()
}

func (s *socket) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended || s.end != nil || s.closing.closed()
}

// WriteClose implements transport.WebsocketConn. Only the first call counts. The
// closing handshake continues in a goroutine, for at most the library's ten seconds.
func (s *socket) WriteClose(code int, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil
	}
	s.ended = true
	if s.silent != nil {
		s.silent.Stop()
	}
	end := s.closeWith(closeError{code, reason})
	go func() { _ = s.conn.Close(websocket.StatusCode(end.code), end.reason) }()
	return nil
}

// closeWith translates gqlgen's close code to the protocol's. The caller has locked mu.
func (s *socket) closeWith(gqlgens closeError) closeError {
	switch {
	case s.closing.closed():
		return closeError{closeRestart, "the server restarts"}
	case s.end != nil:
		return *s.end
	case gqlgens.code != transport.WebsocketCloseProtocolError:
		return gqlgens
	case s.conn.Subprotocol() == "":
		return closeError{closeSubprotocol, "Subprotocol not acceptable"}
	case !s.protocol.isInitialised():
		return closeError{closeInitTimeout, "Connection initialisation timeout"}
	}
	return gqlgens
}

// Close implements transport.WebsocketConn. It does nothing: gqlgen calls WriteClose
// first, which ends the connection.
func (s *socket) Close() error { return nil }

// Subprotocol implements transport.WebsocketConn. For a client that asked for no
// supported one it returns "none", on which gqlgen closes the connection.
func (s *socket) Subprotocol() string {
	if s.conn.Subprotocol() == "" {
		return "none"
	}
	return strings.ToLower(s.conn.Subprotocol())
}

// SetReadLimit implements transport.WebsocketReadLimiter.
func (s *socket) SetReadLimit(limit int64) { s.conn.SetReadLimit(limit) }

// SetReadDeadline implements transport.WebsocketReadDeadliner.
func (s *socket) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.silent != nil {
		s.silent.Stop()
	}
	if !t.IsZero() && !s.ended {
		s.silent = time.AfterFunc(time.Until(t), func() { _ = s.conn.CloseNow() })
	}
	return nil
}
