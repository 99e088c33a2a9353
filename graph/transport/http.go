package transport

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"

	"onhand/graph/guard"
	"onhand/models"
)

// The media types of answers.
const (
	mediaJSON    = "application/json"
	mediaGraphQL = "application/graphql-response+json"
)

// HTTP answers POST, and GET for queries, as the GraphQL-over-HTTP specification says.
// gqlgen's own transports send an invalid body back and into the log, refuse without
// a code, and send "data": null for a request that was not executed.
type HTTP struct{}

// Supports implements graphql.Transport.
func (HTTP) Supports(r *http.Request) bool {
	if r.Header.Get("Upgrade") != "" {
		return false
	}
	return r.Method == http.MethodGet || r.Method == http.MethodPost && mediaType(r) == mediaJSON
}

// Do implements graphql.Transport.
func (HTTP) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	start := graphql.Now()
	params, problem := readRequest(r)
	if problem != "" {
		guard.Refuse(w, http.StatusBadRequest, models.CodeBadUserInput, problem)
		return
	}
	params.Headers = r.Header
	params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}

	operation, errs := exec.CreateOperationContext(r.Context(), params)
	if errs != nil {
		ctx := graphql.WithOperationContext(r.Context(), operation)
		answer(w, r, exec.DispatchError(ctx, first(errs)))
		return
	}
	if r.Method == http.MethodGet && operation.Operation.Operation != ast.Query {
		w.Header().Set("Allow", http.MethodPost)
		guard.Refuse(w, http.StatusMethodNotAllowed, models.CodeBadUserInput, "GET is for queries only")
		return
	}
	responses, ctx := exec.DispatchOperation(r.Context(), operation)
	answer(w, r, responses(ctx))
}

func readRequest(r *http.Request) (params *graphql.RawParams, problem string) {
	if r.Method == http.MethodGet {
		return readURL(r.URL)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, "the request's body could not be read"
	}
	params = &graphql.RawParams{}
	if !decode(body, params) {
		return nil, "the request's body is no GraphQL request in JSON"
	}
	return params, ""
}

func readURL(u *url.URL) (params *graphql.RawParams, problem string) {
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, "the URL's query could not be read"
	}
	params = &graphql.RawParams{Query: values.Get("query"), OperationName: values.Get("operationName")}
	if text := values.Get("variables"); text != "" && !decode([]byte(text), &params.Variables) {
		return nil, "variables must be an object in JSON"
	}
	if text := values.Get("extensions"); text != "" && !decode([]byte(text), &params.Extensions) {
		return nil, "extensions must be an object in JSON"
	}
	return params, ""
}

// decode reads exactly one JSON value, and keeps numbers as text.
func decode(data []byte, to any) bool {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if decoder.Decode(to) != nil {
		return false
	}
	_, err := decoder.Token()
	return err == io.EOF
}

func mediaType(r *http.Request) string {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return kind
}

// accepted returns the first supported media type that the client names;
// application/json where it names none.
func accepted(r *http.Request) string {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		kind, _, err := mime.ParseMediaType(part)
		if err == nil && (kind == mediaJSON || kind == mediaGraphQL) {
			return kind
		}
	}
	return mediaJSON
}

// answer writes a response; nil when the client has gone. A response without data was
// not executed, because the request is wrong.
func answer(w http.ResponseWriter, r *http.Request, response *graphql.Response) {
	if response == nil {
		return
	}
	kind, status := accepted(r), http.StatusOK
	if response.Data == nil {
		status = http.StatusUnprocessableEntity
		if kind == mediaGraphQL {
			status = http.StatusBadRequest // as the specification of this media type says
		}
	}
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(encodeResponse(response))
}

// encodeResponse writes a response in JSON. The data is JSON already and may be large,
// so it is copied without parsing.
func encodeResponse(response *graphql.Response) []byte {
	b := make([]byte, 0, len(response.Data)+32)
	b = append(b, '{')
	if len(response.Errors) > 0 {
		errors, err := json.Marshal(response.Errors)
		if err != nil { // only an extension that JSON cannot encode, which Onhand never sets
			errors = []byte(`[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`)
		}
		b = append(append(b, `"errors":`...), errors...)
	}
	if response.Data != nil {
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(b, `"data":`...), response.Data...)
	}
	return append(b, '}')
}
