package jsonresponse

import (
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"onhand/models"
)

// Append appends a response. The data is JSON already and may be large, so it is copied
// without parsing.
func Append(b []byte, response *graphql.Response) []byte {
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

// AppendErrors appends the errors of a response.
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
