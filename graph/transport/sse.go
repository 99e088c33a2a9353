package transport

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/graph/rawparams"
	"onhand/graph/transport/jsonresponse"
	"onhand/models"
)

// streamBufferBytes is the kernel's send buffer for the client of a stream (Linux
// doubles the value for its own bookkeeping). The default grows to megabytes: a slow
// client would get old values, and a client that stopped reading would be noticed
// late.
const streamBufferBytes = 64 << 10

type connectionKey struct{}

// ConnContext keeps a request's connection in its context, so that a stream can bound
// the connection's send buffer. It is for http.Server.ConnContext.
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, conn)
}

// boundSendBuffer bounds the send buffer of a stream.
func boundSendBuffer(conn any) {
	if encrypted, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = encrypted.NetConn()
	}
	if conn, ok := conn.(interface{ SetWriteBuffer(bytes int) error }); ok {
		_ = conn.SetWriteBuffer(streamBufferBytes) // without it, a slow client is noticed later
	}
}

// SSE is server-sent events in graphql-sse's distinct connections mode: POST, and GET
// for a browser's EventSource.
func (t *Streams) SSE() graphql.Transport { return events{t} }

// events answers a request with a stream of its own.
type events struct{ *Streams }

// Supports implements graphql.Transport.
func (events) Supports(r *http.Request) bool {
	return PrefersEvents(r) && (r.Method == http.MethodGet || r.Method == http.MethodPost)
}

// Do implements graphql.Transport.
func (e events) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	read := graphql.TraceTiming{Start: graphql.Now()}
	pass := e.enter(w, r)
	if pass == nil {
		return
	}
	defer pass.Leave()
	if refusal := pass.Begin(0); refusal != nil {
		guard.Refuse(w, refusal.Status, refusal.Code, refusal.Message)
		return
	}
	params, problem := readStreamed(r)
	if problem != "" {
		refuse(w, problem)
		return
	}
	read.End = graphql.Now()
	params.Headers, params.ReadTime = r.Header, read
	ctx, stop := guard.UntilTokenEnds(guard.Streaming(r.Context()))
	defer stop()
	request, errs := exec.CreateOperationContext(ctx, params)
	if errs == nil && r.Method == http.MethodGet && request.Operation.Operation == ast.Mutation {
		w.Header().Set("Allow", http.MethodPost)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "GET is for queries and subscriptions only")
		return
	}
	s := e.open(ctx, w)
	defer s.end()
	o := &operation{ctx: s.ctx, cancel: s.cancel}
	if errs != nil {
		refuseOperation(exec, s, o, request, errs)
		return
	}
	run(exec, s, o, request)
	if guard.TokenEnded(s.ctx) {
		s.fail(o, tokenEnded(ctx, exec, request))
	}
}

// readStreamed reads the request of a stream.
func readStreamed(r *http.Request) (params *graphql.RawParams, problem string) {
	if r.Method == http.MethodGet {
		return readURL(r.URL)
	}
	body, problem := takeBody(r)
	if problem != "" {
		return nil, problem
	}
	defer body.giveBack()
	params, ok := rawparams.Decode(body.bytes)
	if !ok {
		return nil, notARequest
	}
	return params, ""
}

// eventStream writes the events of one answer. Each piece of an event has a deadline. A
// failed write ends the stream, and nothing is written after the end.
type eventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	closing *Closing
	limits  limits
	ends    time.Time // when its lifetime is over
	ctx     context.Context
	cancel  context.CancelFunc

	mu      sync.Mutex // locked while an event is written
	ended   bool
	wroteAt time.Time
}

// open begins a stream.
func (e events) open(ctx context.Context, w http.ResponseWriter) *eventStream {
	boundSendBuffer(ctx.Value(connectionKey{}))
	s := &eventStream{w: w, control: http.NewResponseController(w), closing: e.closing, limits: e.limits, ends: time.Now().Add(e.lifetime())}
	s.ctx, s.cancel = context.WithCancel(ctx)
	_ = s.control.SetReadDeadline(time.Time{}) // http.Server's is for the request
	header := w.Header()
	header.Set("Content-Type", mediaEvents)
	header.Set("Cache-Control", "private, no-cache")
	header.Set("Connection", "keep-alive")
	header.Set("X-Accel-Buffering", "no") // otherwise nginx buffers events
	e.closing.add(s, e.limits.tickInterval())
	s.write([]byte(":\n\n"))
	return s
}

// end ends the stream. The caller's handler may return after it.
func (s *eventStream) end() {
	s.closing.remove(s)
	s.cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
}

// stop implements openStream. The stream ends without "complete", after which clients
// would not reconnect.
func (s *eventStream) stop() { s.cancel() }

// tick implements openStream. A client that is written to needs no comment.
func (s *eventStream) tick(now time.Time) {
	if !now.Before(s.ends) {
		s.stop()
		return
	}
	if !s.mu.TryLock() {
		return
	}
	due := !s.ended && now.Sub(s.wroteAt) >= s.limits.keepAlive
	s.mu.Unlock()
	if due {
		go s.write([]byte(": ping\n\n"))
	}
}

// write writes one event. more is false when the stream has ended.
func (s *eventStream) write(event []byte) (more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	end := time.Now().Add(s.limits.message)
	for len(event) > 0 {
		if s.ended || s.closing.isClosed() { // clients ignore an incomplete event
			return false
		}
		n := min(len(event), eventPieceBytes)
		s.setDeadline(end)
		if _, err := s.w.Write(event[:n]); err != nil {
			return s.failed()
		}
		event = event[n:]
	}
	s.setDeadline(end)
	if err := s.control.Flush(); err != nil {
		return s.failed()
	}
	_ = s.control.SetWriteDeadline(time.Time{}) // over HTTP/2 one that passes ends a stream that waits, too
	s.wroteAt = time.Now()
	return true
}

// eventPieceBytes is how much of an event is written with one deadline.
const eventPieceBytes = 16 << 10

// failed ends the stream after a failed write. The caller has locked mu.
func (s *eventStream) failed() bool {
	s.ended = true
	s.cancel()
	return false
}

// setDeadline sets the deadline of the next piece, at the latest end.
func (s *eventStream) setDeadline(end time.Time) {
	at := time.Now().Add(s.limits.write)
	if at.After(end) {
		at = end
	}
	_ = s.control.SetWriteDeadline(at)
}

// next implements operationOutlet.
func (s *eventStream) next(o *operation, response *graphql.Response) (more bool) {
	event := takeBuffer()
	defer event.giveBack()
	b := append(event.bytes, "event: next\ndata: "...)
	if o.id != nil {
		b = append(append(append(b, `{"id":`...), o.id...), `,"payload":`...)
	}
	b = jsonresponse.Append(b, response)
	if o.id != nil {
		b = append(b, '}')
	}
	event.bytes = append(b, "\n\n"...)
	return s.write(event.bytes)
}

// fail implements operationOutlet. A browser's EventSource shows no other answer than
// an event.
func (s *eventStream) fail(o *operation, response *graphql.Response) {
	if s.next(o, response) {
		s.complete(o)
	}
}

// complete implements operationOutlet. A browser ignores an event without a data field,
// so it has an empty one.
func (s *eventStream) complete(o *operation) {
	if o.id == nil {
		s.write([]byte("event: complete\ndata:\n\n"))
		return
	}
	s.write(append(append([]byte(`event: complete`+"\n"+`data: {"id":`), o.id...), "}\n\n"...))
}
