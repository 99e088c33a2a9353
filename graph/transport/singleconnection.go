package transport

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/graph/transport/admission"
	"onhand/graph/transport/protocol"
	"onhand/models"
)

// unconnectedMax is how many tokens may wait for their connection. Each waits for
// limits.connect, and takes less than a kilobyte.
const unconnectedMax = 10_000

// tokenHeader has the token of a single connection. EventSource sends no header: it uses
// tokenParameter of the URL.
const (
	tokenHeader    = "X-Graphql-Event-Stream-Token"
	tokenParameter = "token"
)

// SingleConnections is graphql-sse's single connection mode: PUT answers with a token,
// GET connects the event stream, POST (and GET for queries and subscriptions) executes an
// operation whose results the stream gets, and DELETE ends an operation.
//
// A token takes the place of its stream.
func (t *Streams) SingleConnections() graphql.Transport { return t.singleConnections() }

func (t *Streams) singleConnections() *singleConnections {
	return &singleConnections{events: events{t}, byToken: map[string]*singleConnection{}}
}

type singleConnections struct {
	events

	mu          sync.Mutex
	byToken     map[string]*singleConnection
	unconnected int // of byToken
}

// singleConnection is one event stream of many operations, before and while it is
// connected.
type singleConnection struct {
	all     *singleConnections
	token   string
	pass    *admission.Pass
	expires time.Time     // zero once it is connected; the mu of all protects it
	opened  chan struct{} // closed when stream is set
	ended   chan struct{} // closed when the token is forgotten

	mu         sync.Mutex // taken after that of all
	stream     *eventStream
	operations map[string]*operation
	over       bool
}

// Supports implements graphql.Transport.
func (*singleConnections) Supports(r *http.Request) bool {
	switch r.Method {
	case http.MethodPut, http.MethodDelete:
		return true
	case http.MethodGet, http.MethodPost:
		return tokenOf(r) != ""
	}
	return false
}

func tokenOf(r *http.Request) string {
	if token := r.Header.Get(tokenHeader); token != "" {
		return token
	}
	if strings.Contains(r.URL.RawQuery, tokenParameter+"=") {
		return r.URL.Query().Get(tokenParameter)
	}
	return ""
}

// Do implements graphql.Transport.
func (t *singleConnections) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if r.Method == http.MethodPut {
		t.issueToken(w, r)
		return
	}
	found := t.find(tokenOf(r))
	switch {
	case found == nil:
		guard.Refuse(w, http.StatusNotFound, models.CodeBadUserInput, "no event stream has this token")
	case r.Method == http.MethodDelete:
		found.endOperation(w, r.URL.Query().Get("operationId"))
	case r.Method == http.MethodGet && PrefersEvents(r):
		found.connect(w, r)
	default:
		found.execute(w, r, exec)
	}
}

// issueToken answers PUT with the token of a new single connection.
func (t *singleConnections) issueToken(w http.ResponseWriter, r *http.Request) {
	pass := t.enter(w, r)
	if pass == nil {
		return
	}
	s := &singleConnection{
		all: t, token: rand.Text(), pass: pass, expires: time.Now().Add(t.limits.connect),
		opened: make(chan struct{}), ended: make(chan struct{}), operations: map[string]*operation{},
	}
	t.mu.Lock()
	full := t.unconnected >= unconnectedMax
	if !full {
		t.byToken[s.token] = s
		t.unconnected++
	}
	t.mu.Unlock()
	if full {
		pass.Leave()
		t.closing.refused.Count(admission.RefusedToken)
		guard.Refuse(w, http.StatusTooManyRequests, models.CodeRateLimited, "too many event streams wait for their connection")
		return
	}
	t.closing.add(s, t.limits.tickInterval())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(s.token))
}

func (t *singleConnections) find(token string) *singleConnection {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.byToken[token]
}

// connect answers GET with the event stream, and returns when that ends.
func (s *singleConnection) connect(w http.ResponseWriter, r *http.Request) {
	if !s.open() {
		guard.Refuse(w, http.StatusConflict, models.CodeBadUserInput, "this event stream is connected already")
		return
	}
	defer s.forget()
	ctx, stop := guard.UntilTokenEnds(guard.Streaming(r.Context()))
	defer stop()
	stream := s.all.events.open(ctx, w)
	defer stream.end()
	s.mu.Lock()
	s.stream = stream
	s.mu.Unlock()
	close(s.opened)
	<-stream.ctx.Done()
}

// open reports whether the caller's connection is the first.
func (s *singleConnection) open() bool {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if s.expires.IsZero() || s.all.byToken[s.token] != s {
		return false
	}
	s.expires = time.Time{}
	s.all.unconnected--
	return true
}

// forget ends a single connection and its operations.
func (s *singleConnection) forget() {
	t := s.all
	t.closing.remove(s)
	t.mu.Lock()
	known := t.byToken[s.token] == s
	if known {
		delete(t.byToken, s.token)
		if !s.expires.IsZero() {
			t.unconnected--
		}
	}
	t.mu.Unlock()
	if !known {
		return
	}
	close(s.ended)
	s.pass.Leave()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, o := range s.operations {
		o.over = true
		o.cancel()
	}
}

// tick implements openStream.
func (s *singleConnection) tick(now time.Time) {
	s.all.mu.Lock()
	expired := !s.expires.IsZero() && now.After(s.expires)
	s.all.mu.Unlock()
	if expired {
		s.forget()
	}
}

// stop implements openStream.
func (s *singleConnection) stop() { s.forget() }

// execute starts an operation. A request that cannot be executed is refused in the media
// type whose status says so: graphql-sse's clients do not read the body of another answer.
func (s *singleConnection) execute(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	read := graphql.TraceTiming{Start: graphql.Now()}
	params, problem := readStreamed(r)
	if problem != "" {
		refuse(w, problem)
		return
	}
	id, _ := params.Extensions["operationId"].(string)
	if id == "" {
		refuse(w, "an operation of an event stream needs a text in extensions.operationId")
		return
	}
	o := &operation{key: id, id: protocol.Quoted(id)}
	o.ctx, o.cancel = guard.UntilTokenEnds(guard.Streaming(context.WithoutCancel(r.Context())))
	if !s.add(w, o) {
		return
	}
	read.End = graphql.Now()
	params.Headers, params.ReadTime = r.Header, read
	request, errs := exec.CreateOperationContext(o.ctx, params)
	switch {
	case errs != nil:
		s.finish(o)
		answer(w, r, mediaGraphQL, exec.DispatchError(graphql.WithOperationContext(r.Context(), request), errs))
		return
	case r.Method == http.MethodGet && request.Operation.Operation == ast.Mutation:
		s.finish(o)
		w.Header().Set("Allow", http.MethodPost)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "GET is for queries and subscriptions only")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	go func() {
		run(exec, s, o, request)
		if guard.TokenEnded(o.ctx) {
			s.fail(o, tokenEnded(o.ctx, exec, request))
		}
	}()
}

// add registers an operation in flight, or refuses it.
func (s *singleConnection) add(w http.ResponseWriter, o *operation) bool {
	s.mu.Lock()
	_, active := s.operations[o.key]
	over := s.over
	var refusal *admission.Excess
	if !active && !over {
		refusal = s.pass.Begin(len(s.operations))
	}
	added := !active && !over && refusal == nil
	if added {
		s.operations[o.key] = o
	}
	s.mu.Unlock()
	switch {
	case added:
		return true
	case active:
		guard.Refuse(w, http.StatusConflict, models.CodeBadUserInput, "an operation with this id is in flight")
	case refusal != nil:
		guard.Refuse(w, refusal.Status, refusal.Code, refusal.Message)
	default:
		guard.Refuse(w, http.StatusNotFound, models.CodeBadUserInput, "this event stream has ended")
	}
	o.cancel()
	return false
}

// finish forgets an operation.
func (s *singleConnection) finish(o *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.over = true
	o.cancel()
	if s.operations[o.key] == o {
		delete(s.operations, o.key)
		s.pass.End()
	}
}

// endOperation answers DELETE. It is no error when the operation is over.
func (s *singleConnection) endOperation(w http.ResponseWriter, id string) {
	if id == "" {
		refuse(w, "say in the URL's operationId which operation to end")
		return
	}
	s.mu.Lock()
	o := s.operations[id]
	s.mu.Unlock()
	if o != nil {
		s.finish(o)
	}
	w.WriteHeader(http.StatusOK)
}

// connected waits for the connection. It returns nil where o gets no more messages.
func (s *singleConnection) connected(o *operation) *eventStream {
	select {
	case <-s.opened:
	case <-s.ended:
	case <-o.ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o.over {
		return nil
	}
	return s.stream
}

// next implements operationOutlet.
func (s *singleConnection) next(o *operation, response *graphql.Response) (more bool) {
	stream := s.connected(o)
	return stream != nil && stream.next(o, response)
}

// fail implements operationOutlet.
func (s *singleConnection) fail(o *operation, response *graphql.Response) {
	if s.next(o, response) {
		s.complete(o)
	}
}

// complete implements operationOutlet.
func (s *singleConnection) complete(o *operation) {
	stream := s.connected(o)
	s.finish(o)
	if stream != nil {
		stream.complete(o)
	}
}
