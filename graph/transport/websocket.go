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

// limits are the times of a stream, of either kind.
type limits struct {
	write     time.Duration // a piece of a message, to a client that has stopped reading
	message   time.Duration // all of a message, to one that reads as slowly as it may
	init      time.Duration // connection_init after the handshake
	ping      time.Duration // a client that answers no ping is gone after two
	keepAlive time.Duration // how often a quiet event stream says that it is still there
}

var usualLimits = limits{write: 10 * time.Second, message: time.Minute, init: 5 * time.Second, ping: 10 * time.Second, keepAlive: 10 * time.Second}

const readBytesMax = guard.BodyBytesMax

// closeRestart is the close code of a server that stops and will be back
// (RFC 6455's registry: 1012, Service Restart). Clients reconnect on it.
const closeRestart = 1012

// subprotocol is the only one spoken.
const subprotocol = "graphql-transport-ws"

// WebSocket is graphql-transport-ws on coder/websocket.
func WebSocket(closing *Closing, origins []string) graphql.Transport {
	return webSocket(closing, origins, usualLimits)
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

// streaming runs a transport under a context that ends when the server stops
// and that tells resolvers it can carry many answers.
type streaming struct {
	graphql.Transport
	closing *Closing
}

// Do implements graphql.Transport.
func (s streaming) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	bound(r.Context())
	ctx, cancel := s.closing.with(guard.Streaming(r.Context()))
	defer cancel()
	s.Transport.Do(w, r.WithContext(ctx), streamed{exec})
}

// sockets is gqlgen's transport with one answer to a refused handshake.
type sockets struct{ transport.Websocket }

// Do implements graphql.Transport.
func (s sockets) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	s.Websocket.Do(&handshake{ResponseWriter: w}, r, exec)
}

// handshake puts a refusal into GraphQL's form and keeps the first one: both
// coder/websocket and gqlgen would answer.
type handshake struct {
	http.ResponseWriter
	refused bool
}

// Unwrap lets the connection be taken over.
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

// acceptor accepts sockets whose writes have a deadline; gqlgen's own have
// none, and one client that stops reading would hold its goroutines for ever.
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
	// Whatever way gqlgen leaves, also while it waits for connection_init.
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
	sending  sync.Mutex // one message after the other

	mu     sync.Mutex
	end    *verdict    // why we end the connection, where it was not gqlgen's decision
	ended  bool        // a close frame is on its way; nothing may follow it
	silent *time.Timer // ends a connection that answers no ping
}

// NextReader implements transport.WebsocketConn: the next message that gqlgen
// has to know of.
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
		var end verdict
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

// errStopping: what is not written when the server stops, the client will ask
// for again.
var errStopping = errors.New("the connection ends")

// WriteJSON implements transport.WebsocketConn.
func (s *socket) WriteJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if s.closing.closed() {
		return errStopping // above all no "complete": clients would not come back
	}
	if data = s.protocol.outgoing(data); data == nil {
		return nil
	}
	return s.send(data)
}

func (s *socket) send(data []byte) error {
	s.sending.Lock() // what waits here has not begun: its time runs once it is written
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

// deliver writes a message: a large one in pieces, each of which has its time.
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
		return err // the connection is closed: half a message has no end
	}
	stuck.Reset(s.write)
	return message.Close()
}

func (s *socket) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended || s.end != nil || s.closing.closed()
}

// WriteClose implements transport.WebsocketConn; the first one counts. The
// closing handshake goes on behind it, for at most the library's ten seconds.
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
	end := s.verdict(verdict{code, reason})
	go func() { _ = s.conn.Close(websocket.StatusCode(end.code), end.reason) }()
	return nil
}

// verdict puts gqlgen's close codes into the protocol's. Callers hold mu.
func (s *socket) verdict(gqlgens verdict) verdict {
	switch {
	case s.closing.closed():
		return verdict{closeRestart, "the server restarts"}
	case s.end != nil:
		return *s.end
	case gqlgens.code != transport.WebsocketCloseProtocolError:
		return gqlgens
	case s.conn.Subprotocol() == "":
		return verdict{closeSubprotocol, "Subprotocol not acceptable"}
	case !s.protocol.hasGreeted():
		return verdict{closeInitTimeout, "Connection initialisation timeout"}
	}
	return gqlgens
}

// Close implements transport.WebsocketConn. WriteClose, which always comes
// before it, ends the connection.
func (s *socket) Close() error { return nil }

// Subprotocol implements transport.WebsocketConn. A client that asked for none
// gets "none", which gqlgen closes: the older protocols are not spoken.
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
