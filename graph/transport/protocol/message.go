package protocol

import (
	"bytes"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/rawparams"
	"onhand/graph/transport/wsframe"
)

// Subprotocol is the name of graphql-transport-ws in a handshake.
const Subprotocol = "graphql-transport-ws"

// The close codes of graphql-transport-ws, and those of RFC 6455's registry, that end a
// connection.
var (
	Unauthorized  = wsframe.CloseError{Code: 4401, Reason: "Unauthorized"}
	Forbidden     = wsframe.CloseError{Code: 4403, Reason: "Forbidden"}
	NotAcceptable = wsframe.CloseError{Code: 4406, Reason: "Subprotocol not acceptable"}
	InitTimeout   = wsframe.CloseError{Code: 4408, Reason: "Connection initialisation timeout"}
	RepeatedInit  = wsframe.CloseError{Code: 4429, Reason: "Too many initialisation requests"}
	Binary        = wsframe.CloseError{Code: badMessage, Reason: "Invalid message: messages are text"}

	// Restart and LifetimeOver: the client should connect again, at once.
	Restart      = wsframe.CloseError{Code: wsframe.CloseServiceRestart, Reason: "the server restarts"}
	LifetimeOver = wsframe.CloseError{Code: wsframe.CloseServiceRestart, Reason: "the connection is old; connect again"}
	// Stuck: the client does not read, or answers no ping.
	Stuck = wsframe.CloseError{Code: wsframe.CloseTryAgainLater, Reason: "the client does not read"}
	// Undecided: whether the connection is allowed cannot be found out now.
	Undecided = wsframe.CloseError{Code: wsframe.CloseTryAgainLater, Reason: "try again later"}
	// Flood: the client sends too many messages.
	Flood = wsframe.CloseError{Code: wsframe.ClosePolicyViolation, Reason: "too many messages"}
)

// badMessage is the close code for a message that is not specified.
const badMessage = 4400

func bad(format string, args ...any) error { return wsframe.Closef(badMessage, format, args...) }

// RepeatedID returns what ends a connection whose client uses the id of an operation in
// flight.
func RepeatedID(id string) error {
	return wsframe.Closef(4409, "Subscriber for %.30s already exists", id)
}

// The messages that have neither id nor payload.
const (
	Ack  = `{"type":"connection_ack"}`
	Ping = `{"type":"ping"}`
	Pong = `{"type":"pong"}`
)

// Message is one message of the client.
type Message struct {
	Type    string
	ID      string
	Payload json.RawMessage // nil where there is none
}

// Parse parses a message. Its payload is a copy.
//
// Errors: a wsframe.CloseError, which ends the connection.
func Parse(data []byte) (m Message, err error) {
	var members map[string]json.RawMessage // encoding/json compares the names of fields in any case
	if json.Unmarshal(data, &members) != nil {
		return m, bad("Invalid message: not a JSON object")
	}
	if !isText(members["type"], &m.Type) {
		return m, bad("Invalid message: it needs a type")
	}
	m.Payload = members["payload"]
	switch m.Type {
	case "connection_init", "ping", "pong":
		return m, checkObject(m)
	case "subscribe", "complete":
		if !isText(members["id"], &m.ID) || m.ID == "" {
			return m, bad("Invalid message: %s needs an id", m.Type)
		}
		return m, nil
	}
	return m, bad("Invalid message type %q", m.Type)
}

// AnswersRefusals reports whether the payload of connection_init has "onRefusal": "error".
// A client that would repeat a refused connection with the same token asks for it: each of
// its operations then gets a result with the error, where else the connection is closed with
// Forbidden.
func AnswersRefusals(payload json.RawMessage) bool {
	var members map[string]json.RawMessage
	return json.Unmarshal(payload, &members) == nil && string(members["onRefusal"]) == `"error"`
}

// isText reads a JSON string.
func isText(value json.RawMessage, to *string) bool {
	return len(value) > 0 && value[0] == '"' && json.Unmarshal(value, to) == nil
}

// checkObject checks that an optional payload is an object.
func checkObject(m Message) error {
	if len(m.Payload) == 0 || bytes.Equal(m.Payload, []byte("null")) || m.Payload[0] == '{' {
		return nil
	}
	return bad("Invalid message: the payload of %s must be an object", m.Type)
}

// ParseSubscribe parses the payload of "subscribe".
//
// Errors: a wsframe.CloseError, which ends the connection.
func ParseSubscribe(payload []byte) (*graphql.RawParams, error) {
	params, ok := rawparams.Decode(payload)
	if !ok || !hasDocument(params, payload) {
		return nil, bad("Invalid message: the payload of subscribe must be a GraphQL request")
	}
	params.Headers = nil // gqlgen reads them from the payload
	return params, nil
}

// hasDocument reports whether a request has a document, or names one. An empty document
// is one: executing it is refused.
func hasDocument(params *graphql.RawParams, payload []byte) bool {
	if params.Query != "" || params.Extensions["persistedQuery"] != nil {
		return true
	}
	var given map[string]json.RawMessage
	if json.Unmarshal(payload, &given) != nil {
		return false
	}
	var text string
	return isText(given["query"], &text) || isText(given["documentId"], &text)
}

// PongBytesMax is the largest payload of a ping that is sent back. The payload of a pong
// is optional.
const PongBytesMax = 256

// AppendPong appends a "pong" message, with the payload of the ping where that is small.
func AppendPong(b, payload []byte) []byte {
	if len(payload) == 0 || len(payload) > PongBytesMax {
		return append(b, Pong...)
	}
	return append(append(append(b, `{"type":"pong","payload":`...), payload...), '}')
}

// Quoted returns a text in JSON.
func Quoted(text string) []byte {
	b, _ := json.Marshal(text) // a string cannot fail
	return b
}
