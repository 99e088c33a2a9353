package transport

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/graph/guard"
	"onhand/graph/transport/admission"
	"onhand/graph/transport/protocol"
	"onhand/graph/transport/wsframe"
	"onhand/models"
)

// closeTimeout bounds the wait for a client's end of the closing handshake.
const closeTimeout = 10 * time.Second

// socket is one connection of graphql-transport-ws.
//
// One goroutine, read, lives as long as the socket, and needs little stack. A message
// is handled in a goroutine of its own while read waits, so that messages are handled
// in order and the stack of GraphQL's validation does not stay. The goroutine that has a
// message for the client locks sending and writes it.
type socket struct {
	shared *webSockets
	exec   graphql.GraphExecutor
	conn   *wsframe.Conn
	pass   *admission.Pass
	meter  admission.Meter // of the client's messages; read uses it

	began    time.Time
	lifetime time.Duration
	// ctx is replaced once, before the connection is acknowledged.
	ctx      context.Context
	cancel   context.CancelFunc
	refusal  error          // the answer to all operations; nil for none
	handling sync.WaitGroup // the message that is handled

	sending   sync.Mutex // locked while a message is written
	closeSent bool       // sending protects it

	mu           sync.Mutex
	initialised  bool // connection_init has arrived
	acknowledged bool
	refusedUntil time.Time          // when a connection with a refusal ends; zero for none
	forbidden    bool               // the token has ended: no operation follows
	ended        bool               // no message may follow but the close frame
	closing      wsframe.CloseError // where ended
	discarding   bool               // read waits for the client's end of the connection
	operations   map[string]*operation
	pingAt       time.Time    // when the next ping is due
	unanswered   time.Time    // when the first ping without an answer was sent; zero where there is none
	ready        []*operation // pushed operations that may have results
	queued       bool         // a worker will write the results of ready
}

// read reads until the connection ends.
func (s *socket) read() {
	defer s.finish()
	for {
		kind, data, err := s.conn.Next()
		if err != nil {
			s.readFailed(err)
			return
		}
		s.throttle()
		switch {
		case s.isEnded():
		case kind == wsframe.Ping:
			frame := wsframe.AppendPong(nil, data)
			_ = s.send(nil, frame, false)
		case kind == wsframe.Binary:
			s.end(protocol.Binary)
		case string(data) == protocol.Pong:
			s.answered()
		default:
			s.handling.Go(func() { s.handle(data) })
			s.handling.Wait()
		}
		s.conn.Release()
	}
}

// throttle delays a client that sends too many messages. One that goes on is cut off.
func (s *socket) throttle() {
	wait, excess := s.meter.Take(time.Since(s.began), s.shared.bounds.Rate())
	if wait <= 0 {
		return
	}
	s.shared.closing.delayed.Count(delayedMessages)
	if excess >= s.shared.limits.flood {
		s.end(protocol.Flood)
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}

// readFailed ends the connection after an error of Next.
func (s *socket) readFailed(err error) {
	if end, ok := errors.AsType[wsframe.CloseError](err); ok {
		s.endFor(end, !wsframe.IsViolation(end))
	}
	s.mu.Lock()
	s.discarding = s.ended
	s.mu.Unlock()
	if s.isEnded() {
		s.conn.Discard(time.Now().Add(closeTimeout))
	}
}

// finish forgets a connection that read reads no longer.
func (s *socket) finish() {
	s.mu.Lock()
	s.ended = true
	operations := s.operations
	s.operations, s.ready = nil, nil
	s.mu.Unlock()
	s.cancel()
	for _, o := range operations {
		s.closeSource(o)
	}
	s.conn.Close()
	s.pass.Leave()
	s.shared.closing.remove(s)
}

// handle handles one message of the client.
func (s *socket) handle(data []byte) {
	m, err := protocol.Parse(data)
	if err == nil {
		err = s.dispatch(m)
	}
	if end, ok := errors.AsType[wsframe.CloseError](err); ok {
		s.end(end)
	}
}

func (s *socket) dispatch(m protocol.Message) error {
	switch m.Type {
	case "connection_init":
		return s.initialise(m.Payload)
	case "ping":
		return s.sendText(nil, false, func(b []byte) []byte { return protocol.AppendPong(b, m.Payload) })
	case "pong":
		s.answered()
	case "subscribe":
		return s.subscribe(m)
	case "complete":
		s.completed(m.ID)
	}
	return nil
}

func (s *socket) initialise(payload json.RawMessage) error {
	s.mu.Lock()
	repeated := s.initialised
	s.initialised = true
	s.mu.Unlock()
	if repeated {
		return protocol.RepeatedInit
	}
	if connect := s.shared.connect; connect != nil {
		ctx, err := connect(s.ctx, payload)
		switch {
		case models.CodeOf(err) == models.CodeUnavailable, models.CodeOf(err) == models.CodeRateLimited:
			return protocol.Undecided
		case err != nil && !protocol.AnswersRefusals(payload):
			return protocol.Forbidden
		case err != nil:
			s.refuseAll(err)
		default:
			s.ctx = ctx
			answering := protocol.AnswersRefusals(payload) // the payload may be large, and has the token
			context.AfterFunc(ctx, func() { s.forbid(answering) })
		}
	}
	s.mu.Lock()
	s.acknowledged = true
	s.pingAt = time.Now().Add(s.shared.limits.ping)
	s.mu.Unlock()
	return s.send(nil, wsframe.AppendText(nil, protocol.Ack), false)
}

// refuseAll has all operations answered with an error, until the connection ends.
func (s *socket) refuseAll(refusal error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refusal = refusal
	s.refusedUntil = time.Now().Add(s.shared.limits.refused)
}

// forbid ends a connection that is allowed no longer. answering: its operations end first,
// each with the reason.
func (s *socket) forbid(answering bool) {
	if answering && guard.TokenEnded(s.ctx) {
		s.endOperations(guard.ErrTokenEnded)
	}
	s.end(protocol.Forbidden)
}

// endOperations ends all operations with a refusal, in one write. From its begin on no
// operation gets data, and none is added. It takes at most limits.write after a frame that
// is being written; tick ends the connection otherwise.
func (s *socket) endOperations(refusal error) {
	s.mu.Lock()
	s.forbidden = true
	s.refusedUntil = time.Now().Add(s.shared.limits.write)
	active := slices.Collect(maps.Values(s.operations))
	for _, o := range active {
		o.over = true
		s.forget(o)
	}
	s.mu.Unlock()
	var frames []byte
	for _, o := range active {
		o.cancel()
		s.closeSource(o)
		frames = appendFrame(frames, protocol.AppendNext(nil, o.id, s.refused(refusal)))
		frames = appendFrame(frames, protocol.AppendComplete(nil, o.id))
	}
	s.sendFrames(frames)
}

// refuse ends an operation with a result that has an error, as an event stream does: clients
// in gateways lose the code of an "error" message.
func (s *socket) refuse(o *operation, refusal error) {
	if s.next(o, s.refused(refusal)) {
		s.complete(o)
	}
}

// refused is the result of an operation that is refused.
func (s *socket) refused(refusal error) *graphql.Response {
	ctx := graphql.WithOperationContext(s.ctx, &graphql.OperationContext{})
	return s.exec.DispatchError(ctx, gqlerror.List{gqlerror.WrapIfUnwrapped(refusal)})
}

// subscribe registers an operation and starts it.
func (s *socket) subscribe(m protocol.Message) error {
	start := graphql.Now()
	if !s.isAcknowledged() {
		return protocol.Unauthorized
	}
	o := &operation{id: protocol.Quoted(m.ID), key: m.ID}
	if s.refusal != nil {
		added, err := s.add(o)
		if added {
			s.refuse(o, s.refusal)
			o.cancel()
		}
		return err
	}
	if refusal := guard.ChargeBody(s.ctx, int64(len(m.Payload))); refusal != nil {
		added, err := s.add(o) // a repeated id is the greater fault
		if added {
			refuseOperation(s.exec, s, o, &graphql.OperationContext{}, gqlerror.List{gqlerror.WrapIfUnwrapped(refusal)})
		}
		return err
	}
	params, err := protocol.ParseSubscribe(m.Payload)
	if err != nil {
		return err
	}
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	if added, err := s.add(o); err != nil || !added {
		return err
	}
	if operation := prepare(s.exec, s, o, params); operation != nil {
		s.mu.Lock()
		o.brief = operation.Operation.Operation != ast.Subscription
		s.mu.Unlock()
		go run(s.exec, s, o, operation)
	}
	return nil
}

// add registers an operation in flight. It refuses one above the bound, and drops one of a
// connection that is about to end.
func (s *socket) add(o *operation) (added bool, err error) {
	s.mu.Lock()
	if s.forbidden {
		s.mu.Unlock()
		return false, nil
	}
	if _, active := s.operations[o.key]; active {
		s.mu.Unlock()
		return false, protocol.RepeatedID(o.key)
	}
	if refusal := s.pass.Begin(len(s.operations)); refusal != nil {
		s.mu.Unlock()
		return false, s.sendText(nil, false, func(b []byte) []byte { return appendRefusal(b, o, *refusal) })
	}
	defer s.mu.Unlock()
	o.ctx, o.cancel = context.WithCancel(s.ctx)
	if s.operations == nil {
		s.operations = map[string]*operation{}
	}
	s.operations[o.key] = o
	return true, nil
}

// completed ends an operation for the client, which may use the id again at once. For an
// operation that is over it does nothing.
func (s *socket) completed(id string) {
	s.mu.Lock()
	o := s.operations[id]
	if o == nil {
		s.mu.Unlock()
		return
	}
	o.over = true
	s.forget(o)
	cancel := o.cancel
	s.mu.Unlock()
	cancel()
	s.closeSource(o)
}

// forget removes an operation. The caller has locked mu.
func (s *socket) forget(o *operation) {
	delete(s.operations, o.key)
	s.pass.End()
	if len(s.operations) == 0 {
		s.operations = nil // a map never shrinks
	}
}

// next implements operationOutlet.
func (s *socket) next(o *operation, response *graphql.Response) (more bool) {
	return s.sendText(o, false, func(b []byte) []byte { return protocol.AppendNext(b, o.id, response) }) == nil
}

// fail implements operationOutlet.
func (s *socket) fail(o *operation, response *graphql.Response) {
	_ = s.sendText(o, true, func(b []byte) []byte { return protocol.AppendError(b, o.id, response) })
}

// complete implements operationOutlet.
func (s *socket) complete(o *operation) {
	_ = s.sendText(o, true, func(b []byte) []byte { return protocol.AppendComplete(b, o.id) })
}

// answered notes an answer to all pings.
func (s *socket) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unanswered = time.Time{}
}

func (s *socket) isEnded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended
}

func (s *socket) isAcknowledged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.acknowledged
}

// awaitsAnswer reports whether a query or mutation is in flight. The caller has locked mu.
func (s *socket) awaitsAnswer() bool {
	for _, o := range s.operations {
		if o.brief {
			return true
		}
	}
	return false
}

// appendRefusal appends an "error" message for a bound. The refusal needs no escapes.
func appendRefusal(b []byte, o *operation, refusal admission.Excess) []byte {
	b = append(protocol.AppendID(b, o.id), `,"type":"error","payload":`...)
	return fmt.Appendf(b, `[{"message":"%s","extensions":{"code":"%s"}}]}`, refusal.Message, refusal.Code)
}
