package transport

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/guard"
	"onhand/graph/rawparams"
)

// noDocument is the refusal of a request that has neither a document nor a hash.
const noDocument = `the request has no document: send it as "query"`

// hasDocument reports whether a request has a document, or the hash of one.
func hasDocument(params *graphql.RawParams) bool {
	return params.Query != "" || params.Extensions["persistedQuery"] != nil
}

// notARequest is the refusal of a body that is no request.
const notARequest = "the request's body is no GraphQL request in JSON"

// takeBody reads a body into a buffer of the pool, which the caller gives back.
func takeBody(r *http.Request) (body *buffer, problem string) {
	body = takeBuffer()
	if err := body.readFrom(r.Body, r.ContentLength); err != nil {
		body.giveBack()
		return nil, "the request's body could not be read"
	}
	return body, ""
}

// restoreBody lets the next reader read a body that was read.
func restoreBody(r *http.Request, body []byte) { r.Body = io.NopCloser(bytes.NewReader(body)) }

func readObject(body []byte) (params *graphql.RawParams, problem string) {
	params, ok := rawparams.Decode(body)
	if !ok {
		return nil, notARequest
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
	if text := values.Get("variables"); text != "" && !rawparams.DecodeValue([]byte(text), &params.Variables) {
		return nil, "variables must be an object in JSON"
	}
	if text := values.Get("extensions"); text != "" && !rawparams.DecodeValue([]byte(text), &params.Extensions) {
		return nil, "extensions must be an object in JSON"
	}
	rawparams.SetDocumentID(params, values.Get("documentId"))
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
		params := rawparams.DecodeNext(decoder)
		if params == nil {
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

// mediaType is that of a body; empty where its text has another charset than UTF-8.
func mediaType(r *http.Request) string {
	sent := r.Header.Get("Content-Type")
	if sent == mediaJSON {
		return mediaJSON
	}
	kind, parameters, err := mime.ParseMediaType(sent)
	if charset, given := parameters["charset"]; err != nil || given && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return ""
	}
	return kind
}

const (
	// bufferBytes is the size of a new buffer. Most requests, and the answers for a page
	// of products, fit into it.
	bufferBytes = 4 << 10
	// pooledBytesMax is the largest buffer that is kept for the next request.
	pooledBytesMax = 64 << 10
)

// buffer is memory for the body of one request or one answer. Garbage collections empty
// the pool.
type buffer struct{ bytes []byte }

var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, bufferBytes)} }}

// takeBuffer returns an empty buffer.
func takeBuffer() *buffer { return buffers.Get().(*buffer) }

// giveBack lets another request use the buffer. Nothing may refer to its bytes any more.
func (b *buffer) giveBack() {
	if cap(b.bytes) <= pooledBytesMax {
		b.bytes = b.bytes[:0]
		buffers.Put(b)
	}
}

// readFrom reads a body up to its end. size is its length; below 0 when that is not known.
func (b *buffer) readFrom(body io.Reader, size int64) error {
	if size >= int64(cap(b.bytes)) {
		b.bytes = make([]byte, 0, min(size+1, pooledBytesMax)) // the end of most is found without growing
	}
	for {
		if len(b.bytes) == cap(b.bytes) {
			b.bytes = append(b.bytes, 0)[:len(b.bytes)]
		}
		n, err := body.Read(b.bytes[len(b.bytes):cap(b.bytes)])
		b.bytes = b.bytes[:len(b.bytes)+n]
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
