package protocol

import (
	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/transport/jsonresponse"
)

// AppendNext appends a "next" message for an operation. id is its id in JSON.
func AppendNext(b, id []byte, response *graphql.Response) []byte {
	b = append(AppendID(b, id), `,"type":"next","payload":`...)
	return append(jsonresponse.Append(b, response), '}')
}

// AppendError appends an "error" message.
func AppendError(b, id []byte, response *graphql.Response) []byte {
	b = append(AppendID(b, id), `,"type":"error","payload":`...)
	return append(jsonresponse.AppendErrors(b, response.Errors), '}')
}

// AppendComplete appends a "complete" message.
func AppendComplete(b, id []byte) []byte {
	return append(AppendID(b, id), `,"type":"complete"}`...)
}

// AppendID appends how the message of an operation begins.
func AppendID(b, id []byte) []byte { return append(append(b, `{"id":`...), id...) }
