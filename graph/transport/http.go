package transport

import (
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/models"
)

// HTTP answers POST, and GET for queries, as the GraphQL-over-HTTP specification says,
// and arrays of requests. gqlgen's own transports send an invalid body back and into the
// log, refuse without a code, and send "data": null for a request that was not executed.
type HTTP struct {
	// Events answers with an event stream where the client wants one. Without it, every
	// answer is JSON.
	Events graphql.Transport
	// Playground is the path of the page that a browser is sent to when it asks for
	// nothing; empty for none.
	Playground string
}

// Supports implements graphql.Transport.
func (HTTP) Supports(r *http.Request) bool {
	if r.Header.Get("Upgrade") != "" {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodPost && mediaType(r) == mediaJSON
}

// Do implements graphql.Transport.
func (h HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	if r.Method == http.MethodGet {
		h.get(w, r, exec)
		return
	}
	h.post(w, r, exec)
}

func (h HTTP) get(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	accept := acceptanceOf(r)
	params, problem := readURL(r.URL)
	if problem == "" && hasDocument(params) && h.Events != nil && accept.events == eventsForEverything {
		h.Events.Do(w, r, exec) // a browser's EventSource
		return
	}
	if problem == "" && !hasDocument(params) {
		if accept.page && h.Playground != "" {
			w.Header()["Cache-Control"] = noStore
			w.Header().Set("Vary", "Accept")
			http.Redirect(w, r, h.Playground, http.StatusSeeOther)
			return
		}
		problem = noDocument
	}
	if problem != "" {
		refuse(w, problem)
		return
	}
	h.execute(w, r, exec, httpRequest{params: params, kind: accept.kind})
}

// post answers one request with JSON or with an event stream, or an array of requests
// with JSON.
func (h HTTP) post(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	accept := acceptanceOf(r)
	body, problem := takeBody(r)
	if problem != "" {
		refuse(w, problem)
		return
	}
	defer body.giveBack()
	if isArray(body.bytes) {
		h.postArray(w, r, exec, body.bytes)
		return
	}
	if h.Events != nil && accept.events == eventsForEverything {
		restoreBody(r, body.bytes)
		h.Events.Do(w, r, exec)
		return
	}
	params, problem := readObject(body.bytes)
	if problem != "" {
		refuse(w, problem)
		return
	}
	h.execute(w, r, exec, httpRequest{params: params, body: body.bytes, kind: accept.kind, streams: h.Events != nil && accept.events == eventsForStreams})
}

func (h HTTP) postArray(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, body []byte) {
	if !acceptanceOf(r).json {
		guard.Refuse(w, http.StatusNotAcceptable, models.CodeBadUserInput, "an array of requests is answered in JSON: send Accept: application/json")
		return
	}
	requests, problem := readArray(body)
	if problem != "" {
		refuse(w, problem)
		return
	}
	answerArray(w, r, exec, requests)
}

// httpRequest is one request that was read.
type httpRequest struct {
	params  *graphql.RawParams
	body    []byte // of a POST
	kind    string // of an answer in JSON
	streams bool   // a subscription is answered with an event stream
}

func (h HTTP) execute(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor, request httpRequest) {
	request.params.Headers = r.Header
	operation, errs := exec.CreateOperationContext(r.Context(), request.params)
	if errs != nil {
		ctx := graphql.WithOperationContext(r.Context(), operation)
		answer(w, r, request.kind, exec.DispatchError(ctx, errs))
		return
	}
	switch kind := operation.Operation.Operation; {
	case r.Method == http.MethodGet && kind != ast.Query:
		w.Header().Set("Allow", http.MethodPost)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "GET is for queries only")
		return
	case kind == ast.Subscription && request.streams:
		restoreBody(r, request.body)
		h.Events.Do(w, r, exec) // reads the body again
		return
	}
	responses, ctx := exec.DispatchOperation(r.Context(), operation)
	answer(w, r, request.kind, responses(ctx))
}

func refuse(w http.ResponseWriter, problem string) {
	guard.Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, problem)
}
