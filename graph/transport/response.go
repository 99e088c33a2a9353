package transport

import (
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/coding"
	"onhand/graph/guard"
	"onhand/graph/transport/jsonresponse"
	"onhand/models"
)

// answer writes a response; nil when the client has gone.
func answer(w http.ResponseWriter, r *http.Request, kind string, response *graphql.Response) {
	if response == nil {
		return
	}
	body := takeBuffer()
	defer body.giveBack() // Write has copied, or sent, what it was given
	body.bytes = jsonresponse.Append(body.bytes, response)
	if response.Data == nil {
		guard.WriteHeaders(w.Header(), response.Errors)
	}
	write(w, r, kind, statusOf(kind, response), body.bytes)
}

// Values of headers. All answers share them, and nothing changes them.
var (
	contentTypes = map[string][]string{
		mediaJSON:    {mediaJSON + "; charset=utf-8"},
		mediaGraphQL: {mediaGraphQL + "; charset=utf-8"},
	}
	noStore = []string{"private, no-store"} // stock is live, and may be what one caller only may see
	nosniff = []string{"nosniff"}           // no browser takes an answer for a page or a script
	codings = map[coding.Coding][]string{coding.Gzip: {string(coding.Gzip)}, coding.Zstd: {string(coding.Zstd)}}
)

// lengthBytesMax is the length up to which net/http finds out the Content-Length.
const lengthBytesMax = 2 << 10

// write answers with a body. It compresses a long one as the client wants.
func write(w http.ResponseWriter, r *http.Request, kind string, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentTypes[kind]
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = nosniff
	if len(body) >= coding.CompressFrom {
		header.Add("Vary", "Accept-Encoding")
		if wanted := coding.Accepted(r.Header["Accept-Encoding"]); wanted != coding.None {
			compressed := takeBuffer()
			defer compressed.giveBack()
			compressed.bytes = wanted.Append(compressed.bytes, body)
			body = compressed.bytes
			header["Content-Encoding"] = codings[wanted]
		}
	}
	if len(body) > lengthBytesMax {
		header["Content-Length"] = []string{strconv.Itoa(len(body))} // otherwise it is sent in chunks
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// statusOf returns the status of an answer. Where the document or its variables are wrong, GraphQL-over-HTTP asks for 200
// in JSON, whose clients read a body for this status only, and for 400 in the newer media type. Other reasons have a status
// of their own in both. The refusal of a hash has 200: clients of mobile applications would not send the document otherwise.
func statusOf(kind string, response *graphql.Response) int {
	if response.Data != nil || jsonresponse.IsHashRefusal(response.Errors) {
		return http.StatusOK
	}
	if len(response.Errors) > 0 {
		code, _ := response.Errors[0].Extensions["code"].(string)
		if status, found := statuses[models.Code(code)]; found {
			return status
		}
	}
	if kind == mediaGraphQL {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// statuses are those of refusals that are no fault of the document, by their code.
var statuses = map[models.Code]int{
	models.CodeUnauthenticated: http.StatusUnauthorized,
	models.CodeForbidden:       http.StatusForbidden,
	models.CodeRateLimited:     http.StatusTooManyRequests,
	models.CodeUnavailable:     http.StatusServiceUnavailable,
	models.CodeInternal:        http.StatusInternalServerError,
}
