package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
)

// noDocument is the refusal of a request that has neither a document nor a hash.
const noDocument = `the request has no document: send it as "query"`

// hasDocument reports whether a request has a document, or the hash of one.
func hasDocument(params *graphql.RawParams) bool {
	return params.Query != "" || params.Extensions["persistedQuery"] != nil
}

func readBody(r *http.Request) (body []byte, problem string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, "the request's body could not be read"
	}
	return body, ""
}

// restoreBody lets the next reader read a body that was read.
func restoreBody(r *http.Request, body []byte) { r.Body = io.NopCloser(bytes.NewReader(body)) }

func readObject(body []byte) (params *graphql.RawParams, problem string) {
	params = &graphql.RawParams{}
	if !decode(body, params) {
		return nil, "the request's body is no GraphQL request in JSON"
	}
	if !hasDocument(params) {
		return nil, noDocument
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

// isArray reports whether a body in JSON is an array.
func isArray(body []byte) bool {
	return bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("["))
}

// readArray reads an array of at most guard.ArrayRequestsMax requests.
func readArray(body []byte) (requests []*graphql.RawParams, problem string) {
	const invalid = "the request's body is no array of GraphQL requests in JSON"
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if _, err := decoder.Token(); err != nil {
		return nil, invalid
	}
	for decoder.More() {
		if len(requests) == guard.ArrayRequestsMax {
			return nil, fmt.Sprintf("an array has at most %d requests", guard.ArrayRequestsMax)
		}
		var params *graphql.RawParams
		if err := decoder.Decode(&params); err != nil || params == nil {
			return nil, fmt.Sprintf("request %d of the array is no GraphQL request in JSON", len(requests))
		}
		if !hasDocument(params) {
			return nil, fmt.Sprintf(`request %d of the array has no document: send it as "query"`, len(requests))
		}
		requests = append(requests, params)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, invalid
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, invalid
	}
	if len(requests) == 0 {
		return nil, "the array has no request"
	}
	return requests, ""
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
