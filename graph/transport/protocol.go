package transport

import (
	"bytes"
	"encoding/json"
	"strconv"

	"github.com/99designs/gqlgen/graphql"

	"onhand/graph/rawparams"
	"onhand/graph/transport/wsframe"
)

// The close codes of graphql-transport-ws.
const (
	closeBadMessage   = 4400
	closeNoInit       = 4401
	closeForbidden    = 4403
	closeSubprotocol  = 4406
	closeInitTimeout  = 4408
	closeRepeatedID   = 4409
	closeRepeatedInit = 4429
)

// The messages of graphql-transport-ws that have neither id nor payload.
const (
	ackMessage  = `{"type":"connection_ack"}`
	pingMessage = `{"type":"ping"}`
	pongMessage = `{"type":"pong"}`
)

// wsMessage is one message of the client.
//
// Source: PROTOCOL.md of graphql-ws 6.
type wsMessage struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// parseMessage parses a message. Its payload is a copy.
//
// Errors: a wsframe.CloseError, which ends the connection.
func parseMessage(data []byte) (m wsMessage, err error) {
	if json.Unmarshal(data, &m) != nil || m.Type == "" {
		return m, wsframe.Closef(closeBadMessage, "Invalid message")
	}
	switch m.Type {
	case "connection_init", "ping", "pong":
		return m, checkObject(m)
	case "subscribe":
		if m.ID == "" {
			return m, wsframe.Closef(closeBadMessage, "Invalid message: subscribe needs an id")
		}
		return m, nil
	case "complete":
		return m, nil
	}
	return m, wsframe.Closef(closeBadMessage, "Invalid message type %q", m.Type)
}

// checkObject checks that an optional payload is an object.
func checkObject(m wsMessage) error {
	if len(m.Payload) == 0 || bytes.Equal(m.Payload, []byte("null")) || m.Payload[0] == '{' {
		return nil
	}
	return wsframe.Closef(closeBadMessage, "Invalid message: the payload of %s must be an object", m.Type)
}

// parseSubscribe parses the payload of "subscribe".
//
// Errors: a wsframe.CloseError, which ends the connection.
func parseSubscribe(payload []byte) (*graphql.RawParams, error) {
	var request struct {
		Query         *string        `json:"query"`
		OperationName string         `json:"operationName"`
		Variables     map[string]any `json:"variables"`
		Extensions    map[string]any `json:"extensions"`
	}
	if !rawparams.DecodeValue(payload, &request) || request.Query == nil && request.Extensions["persistedQuery"] == nil {
		return nil, wsframe.Closef(closeBadMessage, "Invalid message: the payload of subscribe must be a GraphQL request")
	}
	params := &graphql.RawParams{OperationName: request.OperationName, Variables: request.Variables, Extensions: request.Extensions}
	if request.Query != nil {
		params.Query = *request.Query
	}
	return params, nil
}

// quoted returns a text in JSON.
func quoted(text string) []byte {
	b, _ := json.Marshal(text) // a string cannot fail
	return b
}

// appendNext appends a "next" message.
func appendNext(b []byte, o *operation, response *graphql.Response) []byte {
	b = append(appendID(b, o), `,"type":"next","payload":`...)
	return append(appendResponse(b, response), '}')
}

// appendError appends an "error" message.
func appendError(b []byte, o *operation, response *graphql.Response) []byte {
	b = append(appendID(b, o), `,"type":"error","payload":`...)
	return append(appendErrors(b, response.Errors), '}')
}

// appendComplete appends a "complete" message.
func appendComplete(b []byte, o *operation) []byte {
	return append(appendID(b, o), `,"type":"complete"}`...)
}

func appendID(b []byte, o *operation) []byte { return append(append(b, `{"id":`...), o.id...) }

// appendTooMany appends the refusal of an operation above operationsMax.
func appendTooMany(b []byte, o *operation) []byte {
	b = append(appendID(b, o), `,"type":"error","payload":`...)
	return append(b, tooManyOperations+"}"...)
}

var tooManyOperations = `[{"message":"too many operations on one connection; at most ` + strconv.Itoa(operationsMax) +
	`","extensions":{"code":"RATE_LIMITED"}}]`

// appendPong appends a "pong" message with the payload of the ping.
func appendPong(b, payload []byte) []byte {
	if len(payload) == 0 {
		return append(b, pongMessage...)
	}
	return append(append(append(b, `{"type":"pong","payload":`...), payload...), '}')
}
