package transport

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/models"
)

// reservedMax is how many event streams may be reserved and not connected yet. Each
// waits for its connection for limits.reserved, and takes less than a kilobyte.
const reservedMax = 10_000

// tokenHeader has the token of a reservation. EventSource sends no header: it uses
// tokenParameter of the URL.
const (
	tokenHeader    = "X-Graphql-Event-Stream-Token"
	tokenParameter = "token"
)

// Reservations is graphql-sse's single connection mode: PUT reserves a stream, GET
// connects it, POST (and GET for queries and subscriptions) executes an operation whose
// results the stream gets, and DELETE ends an operation.
func Reservations(closing *Closing) graphql.Transport { return newReservations(closing, defaultLimits) }

func newReservations(closing *Closing, limits limits) *reservations {
	return &reservations{events: sse(closing, limits), streams: map[string]*reservation{}}
}

type reservations struct {
	events

	mu       sync.Mutex
	streams  map[string]*reservation // by token
	reserved int                     // of streams, those without a connection
}

// reservation is one stream of many operations.
type reservation struct {
	all     *reservations
	token   string
	expires time.Time
	opened  chan struct{} // closed when stream is set
	ended   chan struct{} // closed when the reservation is forgotten

	mu         sync.Mutex // taken after that of all
	stream     *eventStream
	operations map[string]*operation
	over       bool
}

// Supports implements graphql.Transport.
func (*reservations) Supports(r *http.Request) bool {
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
func (t *reservations) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if r.Method == http.MethodPut {
		t.reserve(w)
		return
	}
	found := t.find(tokenOf(r))
	switch {
	case found == nil:
		guard.Refuse(w, http.StatusNotFound, models.CodeBadUserInput, "no event stream is reserved under this token")
	case r.Method == http.MethodDelete:
		found.remove(w, r.URL.Query().Get("operationId"))
	case r.Method == http.MethodGet && PrefersEvents(r):
		found.connect(w, r)
	default:
		found.execute(w, r, exec)
	}
}

// reserve answers PUT with the token of a new reservation.
func (t *reservations) reserve(w http.ResponseWriter) {
	s := &reservation{
		all: t, token: rand.Text(), expires: time.Now().Add(t.limits.reserved),
		opened: make(chan struct{}), ended: make(chan struct{}), operations: map[string]*operation{},
	}
	t.mu.Lock()
	full := t.reserved >= reservedMax
	if !full {
		t.streams[s.token] = s
		t.reserved++
	}
	t.mu.Unlock()
	if full {
		guard.Refuse(w, http.StatusTooManyRequests, models.CodeRateLimited, "too many event streams are reserved and not connected")
		return
	}
	t.closing.add(s, t.limits.every())
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(s.token))
}

func (t *reservations) find(token string) *reservation {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.streams[token]
}

// connect is the connection of the stream, for as long as it lives.
func (s *reservation) connect(w http.ResponseWriter, r *http.Request) {
	if !s.open() {
		guard.Refuse(w, http.StatusConflict, models.CodeBadUserInput, "this event stream is connected already")
		return
	}
	defer s.forget()
	stream := s.all.events.open(guard.Streaming(r.Context()), w)
	defer stream.end()
	s.mu.Lock()
	s.stream = stream
	s.mu.Unlock()
	close(s.opened)
	<-stream.ctx.Done()
}

// open reports whether the caller's connection is the first.
func (s *reservation) open() bool {
	s.all.mu.Lock()
	defer s.all.mu.Unlock()
	if s.expires.IsZero() || s.all.streams[s.token] != s {
		return false
	}
	s.expires = time.Time{}
	s.all.reserved--
	return true
}

// forget ends a reservation and its operations.
func (s *reservation) forget() {
	t := s.all
	t.closing.remove(s)
	t.mu.Lock()
	known := t.streams[s.token] == s
	if known {
		delete(t.streams, s.token)
		if !s.expires.IsZero() {
			t.reserved--
		}
	}
	t.mu.Unlock()
	if !known {
		return
	}
	close(s.ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.over = true
	for _, o := range s.operations {
		o.over = true
		o.cancel()
	}
}

// tick implements openStream.
func (s *reservation) tick(now time.Time) {
	s.all.mu.Lock()
	expired := !s.expires.IsZero() && now.After(s.expires)
	s.all.mu.Unlock()
	if expired {
		s.forget()
	}
}

// stop implements openStream.
func (s *reservation) stop() { s.forget() }

// execute starts an operation. A request that cannot be executed is refused in JSON.
func (s *reservation) execute(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
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
	o := &operation{key: id, id: quoted(id)}
	o.ctx, o.cancel = context.WithCancel(guard.Streaming(context.WithoutCancel(r.Context())))
	if !s.add(w, o) {
		return
	}
	read.End = graphql.Now()
	params.Headers, params.ReadTime = r.Header, read
	request, errs := exec.CreateOperationContext(o.ctx, params)
	switch {
	case errs != nil:
		s.finish(o)
		answer(w, acceptanceOf(r).kind, exec.DispatchError(graphql.WithOperationContext(r.Context(), request), first(errs)))
		return
	case r.Method == http.MethodGet && request.Operation.Operation == ast.Mutation:
		s.finish(o)
		w.Header().Set("Allow", http.MethodPost)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "GET is for queries and subscriptions only")
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	go run(exec, s, o, request)
}

// add registers an operation in flight, or refuses it.
func (s *reservation) add(w http.ResponseWriter, o *operation) bool {
	s.mu.Lock()
	_, active := s.operations[o.key]
	full, over := len(s.operations) >= operationsMax, s.over
	added := !active && !full && !over
	if added {
		s.operations[o.key] = o
	}
	s.mu.Unlock()
	switch {
	case added:
		return true
	case active:
		guard.Refuse(w, http.StatusConflict, models.CodeBadUserInput, "an operation with this id is in flight")
	case full:
		guard.Refuse(w, http.StatusTooManyRequests, models.CodeRateLimited, fmt.Sprintf("too many operations on one event stream; at most %d", operationsMax))
	default:
		guard.Refuse(w, http.StatusNotFound, models.CodeBadUserInput, "this event stream has ended")
	}
	o.cancel()
	return false
}

// finish forgets an operation.
func (s *reservation) finish(o *operation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.over = true
	o.cancel()
	if s.operations[o.key] == o {
		delete(s.operations, o.key)
	}
}

// remove answers DELETE, which ends an operation. It is no error when the operation is
// over.
func (s *reservation) remove(w http.ResponseWriter, id string) {
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
func (s *reservation) connected(o *operation) *eventStream {
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
func (s *reservation) next(o *operation, response *graphql.Response) (more bool) {
	stream := s.connected(o)
	return stream != nil && stream.next(o, response)
}

// fail implements operationOutlet.
func (s *reservation) fail(o *operation, response *graphql.Response) {
	if s.next(o, response) {
		s.complete(o)
	}
}

// complete implements operationOutlet.
func (s *reservation) complete(o *operation) {
	stream := s.connected(o)
	s.finish(o)
	if stream != nil {
		stream.complete(o)
	}
}
