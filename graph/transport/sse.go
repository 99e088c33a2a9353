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
func SSE(closing *Closing) graphql.Transport { return sse(closing, defaultLimits) }

func sse(closing *Closing, limits limits) graphql.Transport {
	return streaming{closing: closing, Transport: events{
		SSE: transport.SSE{KeepAlivePingInterval: limits.keepAlive}, closing: closing, limits: limits,
	}}
}

// events is gqlgen's SSE over an eventWriter.
type events struct {
	transport.SSE
	closing *Closing
	limits  limits
}

// Do implements graphql.Transport.
func (e events) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	body, err := io.ReadAll(r.Body)
	if err != nil || !decode(body, &graphql.RawParams{}) { // gqlgen would log the body
		guard.Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, "the request's body is no GraphQL request in JSON")
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	w.Header().Set("X-Accel-Buffering", "no") // otherwise nginx buffers events
	writer := &eventWriter{w: w, control: http.NewResponseController(w), cancel: cancel, closing: e.closing, limits: e.limits}
	defer writer.end() // gqlgen's keep-alive may write after this handler returned
	e.SSE.Do(writer, r.WithContext(ctx), exec)
}

// eventWriter writes with deadlines, ends the stream when a write fails, and writes
// nothing after the end.
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
	if e.ended || e.closing.closed() { // after "complete", clients would not reconnect
		return len(data), nil
	}
	n := len(data)
	if string(data) == gqlgensComplete {
		data = []byte(complete)
	}
	data = withoutNoData(data, "\n\n")
	end := time.Now().Add(e.limits.message)
	err := inPieces(data, func(piece []byte) error {
		if e.closing.closed() { // clients ignore an incomplete event
			return errStopping
		}
		e.setDeadline(end)
		_, err := e.w.Write(piece)
		return err
	})
	e.endOn(err)
	return n, err
}

// A browser ignores an event without a data field, so "complete" gets an empty one.
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
	e.setDeadline(time.Now().Add(e.limits.message))
	e.endOn(e.control.Flush())
}

// setDeadline sets the deadline of the next piece, at the latest end.
func (e *eventWriter) setDeadline(end time.Time) {
	at := time.Now().Add(e.limits.write)
	if at.After(end) {
		at = end
	}
	_ = e.control.SetWriteDeadline(at)
}

// endOn ends the stream after a failed write. The caller has locked mu.
func (e *eventWriter) endOn(err error) {
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
