package protocol

import (
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// AppendNext appends a "next" message for an operation. id is its id in JSON.
func AppendNext(b, id []byte, response *graphql.Response) []byte {
	b = append(AppendID(b, id), `,"type":"next","payload":`...)
	return append(AppendResponse(b, response), '}')
}

// AppendError appends an "error" message.
func AppendError(b, id []byte, response *graphql.Response) []byte {
	b = append(AppendID(b, id), `,"type":"error","payload":`...)
	return append(AppendErrors(b, response.Errors), '}')
}

// AppendComplete appends a "complete" message.
func AppendComplete(b, id []byte) []byte {
	return append(AppendID(b, id), `,"type":"complete"}`...)
}

// AppendID appends how the message of an operation begins.
func AppendID(b, id []byte) []byte { return append(append(b, `{"id":`...), id...) }

// AppendResponse appends a response in JSON. The data is JSON already and may be large,
// so it is copied without parsing.
func AppendResponse(b []byte, response *graphql.Response) []byte {
	b = append(b, '{')
	if len(response.Errors) > 0 {
		b = append(AppendErrors(append(b, `"errors":`...), response.Errors), ',')
	}
	if response.Data != nil {
		return append(append(append(b, `"data":`...), response.Data...), '}')
	}
	if b[len(b)-1] == ',' {
		b = b[:len(b)-1]
	}
	return append(b, '}')
}

// AppendErrors appends the errors of a response in JSON.
func AppendErrors(b []byte, errs gqlerror.List) []byte {
	encoded, err := json.Marshal(errs)
	if err != nil { // only an extension that JSON cannot encode, which Onhand never sets
		return append(b, `[{"message":"internal error","extensions":{"code":"INTERNAL"}}]`...)
	}
	return append(b, encoded...)
}

// IsHashRefusal reports whether the client should send the document in place of its
// hash.
func IsHashRefusal(errs gqlerror.List) bool {
	if len(errs) != 1 {
		return false
	}
	switch errs[0].Extensions["code"] {
	case string(models.CodePersistedQueryNotFound), string(models.CodePersistedQueryNotSupported):
		return true
	}
	return false
}
