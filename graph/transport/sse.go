package transport

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/99designs/gqlgen/graphql/handler/transport"

	"onhand/graph/guard"
	"onhand/models"
)

// SSE is server-sent events in graphql-sse's distinct connections mode.
func SSE(closing *Closing) graphql.Transport { return sse(closing, usualLimits) }

func sse(closing *Closing, limits limits) graphql.Transport {
	return streaming{closing: closing, Transport: events{
		SSE: transport.SSE{KeepAlivePingInterval: limits.keepAlive}, closing: closing, limits: limits,
	}}
}

// events is gqlgen's SSE behind a writer that it cannot break.
type events struct {
	transport.SSE
	closing *Closing
	limits  limits
}

// Do implements graphql.Transport.
func (e events) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !decode(body, &graphql.RawParams{}) { // gqlgen would write the body to the log
		guard.Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, "the request's body is no GraphQL request in JSON")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.Header().Set("X-Accel-Buffering", "no") // nginx would hold events back
	guarded := &eventWriter{w: w, control: http.NewResponseController(w), cancel: cancel, closing: e.closing, limits: e.limits}
	defer guarded.end() // gqlgen's keep-alive may write once more, into a response that is no longer there
	e.SSE.Do(guarded, r.WithContext(ctx), exec)
}

// eventWriter writes with a deadline, ends the stream when a write fails, and
// writes nothing after the end.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
	cancel  context.CancelFunc
	closing *Closing
	limits  limits

	mu    sync.Mutex
	ended bool
}

// Header implements http.ResponseWriter.
func (e *eventWriter) Header() http.Header { return e.w.Header() }

// WriteHeader implements http.ResponseWriter.
func (e *eventWriter) WriteHeader(status int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended {
		e.w.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (e *eventWriter) Write(data []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || e.closing.closed() { // above all no "complete": clients would not come back
		return len(data), nil
	}
	n := len(data)
	if string(data) == gqlgensComplete {
		data = []byte(complete)
	}
	data = unmarked(data, "\n\n")
	end := time.Now().Add(e.limits.message)
	err := inPieces(data, func(piece []byte) error {
		if e.closing.closed() { // a client passes over half an event
			return errStopping
		}
		e.allow(end)
		_, err := e.w.Write(piece)
		return err
	})
	e.check(err)
	return n, err
}

// An event without data is no event to a browser, so "complete" has some that
// is empty.
const (
	gqlgensComplete = "event: complete\n\n"
	complete        = "event: complete\ndata:\n\n"
)

// Flush implements http.Flusher.
func (e *eventWriter) Flush() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ended || e.closing.closed() {
		return
	}
	e.allow(time.Now().Add(e.limits.message))
	e.check(e.control.Flush())
}

// allow gives the next piece its time, and none after end.
func (e *eventWriter) allow(end time.Time) {
	at := time.Now().Add(e.limits.write)
	if at.After(end) {
		at = end
	}
	_ = e.control.SetWriteDeadline(at)
}

// check ends the stream after a failed write. Callers hold mu.
func (e *eventWriter) check(err error) {
	if err != nil {
		e.ended = true
		e.cancel()
	}
}

func (e *eventWriter) end() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended = true
}
