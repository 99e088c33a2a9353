package transport

import (
	"net/http"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// answer writes a response; nil when the client has gone.
func answer(w http.ResponseWriter, kind string, response *graphql.Response) {
	if response == nil {
		return
	}
	body := takeBuffer()
	defer body.giveBack() // Write has copied, or sent, what it was given
	body.bytes = appendResponse(body.bytes, response)
	write(w, kind, statusOf(kind, response), body.bytes)
}

// Values of headers. All answers share them, and nothing changes them.
var (
	contentTypes = map[string][]string{
		mediaJSON:    {mediaJSON + "; charset=utf-8"},
		mediaGraphQL: {mediaGraphQL + "; charset=utf-8"},
	}
	noStore = []string{"no-store"} // stock is live
)

// lengthBytesMax is the length up to which net/http finds out the Content-Length.
const lengthBytesMax = 2 << 10

func write(w http.ResponseWriter, kind string, status int, body []byte) {
	header := w.Header()
	header["Content-Type"] = contentTypes[kind]
	header["Cache-Control"] = noStore
	if len(body) > lengthBytesMax {
		header["Content-Length"] = []string{strconv.Itoa(len(body))} // otherwise it is sent in chunks
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// statusOf returns the status of an answer. A response without data was not executed,
// because the request is wrong. The refusal of a hash is the exception: it has 200 in
// every media type, as Apollo Server sends it, because clients of mobile applications
// do not read the body of another status, and would not send the document.
func statusOf(kind string, response *graphql.Response) int {
	switch {
	case response.Data != nil, isHashRefusal(response.Errors):
		return http.StatusOK
	case kind == mediaGraphQL:
		return http.StatusBadRequest // as the specification of this media type says
	}
	return http.StatusUnprocessableEntity
}

// isHashRefusal reports whether the client should send the document in place of its
// hash.
func isHashRefusal(errs gqlerror.List) bool {
	if len(errs) != 1 {
		return false
	}
	switch errs[0].Extensions["code"] {
	case string(models.CodePersistedQueryNotFound), string(models.CodePersistedQueryNotSupported):
		return true
	}
	return false
}
