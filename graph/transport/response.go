package transport

import (
	"encoding/json"
	"net/http"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// answer writes a response; nil when the client has gone.
func answer(w http.ResponseWriter, kind string, response *graphql.Response) {
	if response != nil {
		write(w, kind, statusOf(kind, response), encodeResponse(response))
	}
}

func write(w http.ResponseWriter, kind string, status int, body []byte) {
	w.Header().Set("Content-Type", kind+"; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store") // stock is live
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
