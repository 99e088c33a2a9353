package transport

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// operationsMax is how many operations one socket may have under way: many
// times what a page needs, and a small part of the watches that a process has
// room for.
const operationsMax = 256

// The close codes of graphql-transport-ws.
const (
	closeBadMessage   = 4400
	closeNoInit       = 4401
	closeSubprotocol  = 4406
	closeInitTimeout  = 4408
	closeRepeatedID   = 4409
	closeRepeatedInit = 4429
)

// closeReasonBytesMax is what fits into a close frame.
const closeReasonBytesMax = 123

// verdict is the end of a connection: close code and reason.
type verdict struct {
	code   int
	reason string
}

// Error implements error.
func (v verdict) Error() string { return fmt.Sprintf("%d: %s", v.code, v.reason) }

func breach(code int, format string, args ...any) verdict {
	reason := fmt.Sprintf(format, args...)
	if len(reason) > closeReasonBytesMax {
		reason = strings.ToValidUTF8(reason[:closeReasonBytesMax], "")
	}
	return verdict{code: code, reason: reason}
}

// message is one message of either side.
type message struct {
	Type    string          `json:"type"`
	ID      string          `json:"id,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
}

// protocol holds both sides of a connection to graphql-transport-ws where
// gqlgen is laxer: it refuses messages with the protocol's own close codes, and
// says nothing more of an operation that is over. To tell an operation from an
// earlier one of the same id, gqlgen sees ids of ours.
//
// Source: PROTOCOL.md of graphql-ws 6.
type protocol struct {
	mu      sync.Mutex
	greeted bool
	ours    map[string]string // the client's id of an operation under way: our id
	theirs  map[string]string // our id: the client's
	made    int
}

func newProtocol() *protocol {
	return &protocol{ours: map[string]string{}, theirs: map[string]string{}}
}

// hasGreeted tells whether connection_init came.
func (p *protocol) hasGreeted() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.greeted
}

// incoming takes in one message of the client: what gqlgen should read, what
// the client should be answered, nothing where there is nothing to do.
//
// Errors: a verdict where the connection must end.
func (p *protocol) incoming(data []byte) (forward, answer []byte, err error) {
	var m message
	if json.Unmarshal(data, &m) != nil || m.Type == "" {
		return nil, nil, breach(closeBadMessage, "Invalid message")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch m.Type {
	case "connection_init":
		if p.greeted {
			return nil, nil, breach(closeRepeatedInit, "Too many initialisation requests")
		}
		p.greeted = true
		return data, nil, objectOrNothing(m)
	case "ping":
		return nil, pong(m.Payload), objectOrNothing(m)
	case "pong":
		if !p.greeted {
			data = nil
		}
		return data, nil, objectOrNothing(m)
	case "subscribe":
		return p.subscribe(m)
	case "complete":
		return p.complete(m)
	}
	return nil, nil, breach(closeBadMessage, "Invalid message type %q", m.Type)
}

func (p *protocol) subscribe(m message) (forward, answer []byte, err error) {
	if !p.greeted {
		return nil, nil, breach(closeNoInit, "Unauthorized")
	}
	if err := checkSubscribe(m); err != nil {
		return nil, nil, err
	}
	if _, active := p.ours[m.ID]; active {
		return nil, nil, breach(closeRepeatedID, "Subscriber for %.30s already exists", m.ID)
	}
	if len(p.ours) >= operationsMax {
		return nil, tooMany(m.ID), nil
	}
	p.made++
	ours := strconv.Itoa(p.made)
	p.ours[m.ID], p.theirs[ours] = ours, m.ID
	return encode(ours, m.Type, m.Payload), nil, nil
}

// complete ends an operation for the client: it hears no more of it, and the
// id is free at once. That of an operation already over means nothing.
func (p *protocol) complete(m message) (forward, answer []byte, err error) {
	ours, active := p.ours[m.ID]
	if !active {
		return nil, nil, nil
	}
	p.forget(ours)
	return encode(ours, m.Type, nil), nil, nil
}

func (p *protocol) forget(ours string) {
	delete(p.ours, p.theirs[ours])
	delete(p.theirs, ours)
}

// outgoing is a message of gqlgen's in the client's ids; nil when the client
// should not hear it.
func (p *protocol) outgoing(data []byte) []byte {
	m, ok := answerIn(data)
	if !ok && (json.Unmarshal(data, &m) != nil || m.ID == "") {
		return data
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	theirs, active := p.theirs[m.ID]
	if !active {
		return nil
	}
	if m.Type == "complete" || m.Type == "error" {
		p.forget(m.ID)
	}
	return encode(theirs, m.Type, unmarked(m.Payload, ""))
}

// answerIn takes gqlgen's answers apart as it writes them: payload, id, type.
// All of a payload read once more for each client it goes to is a good part of
// what a change costs that many watch. It is not ok where the message is another.
func answerIn(data []byte) (m message, ok bool) {
	rest, ok := bytes.CutPrefix(data, []byte(`{"payload":`))
	at := bytes.LastIndex(rest, []byte(`,"id":"`))
	if !ok || at < 0 {
		return m, false
	}
	id, kind, ok := strings.Cut(string(rest[at+len(`,"id":"`):]), `","type":"`)
	kind, ended := strings.CutSuffix(kind, `"}`)
	if !ok || !ended || id == "" || strings.Trim(id, "0123456789") != "" || kind != "next" && kind != "error" {
		return m, false
	}
	return message{ID: id, Type: kind, Payload: json.RawMessage(rest[:at])}, true
}

// encode makes a message. The payload is JSON already and may be large, so it
// is not looked at again.
func encode(id, kind string, payload []byte) []byte {
	quoted, _ := json.Marshal(id) // a string; cannot fail
	b := make([]byte, 0, len(payload)+len(quoted)+len(kind)+32)
	b = append(b, `{"id":`...)
	b = append(b, quoted...)
	b = append(b, `,"type":"`+kind+`"`...)
	if len(payload) > 0 {
		b = append(append(b, `,"payload":`...), payload...)
	}
	return append(b, '}')
}

func pong(payload []byte) []byte {
	b, _ := json.Marshal(message{Type: "pong", Payload: payload}) // valid JSON; cannot fail
	return b
}

func tooMany(id string) []byte {
	return encode(id, "error", []byte(`[{"message":"too many operations on one connection; at most `+
		strconv.Itoa(operationsMax)+`","extensions":{"code":"RATE_LIMITED"}}]`))
}

// objectOrNothing checks an optional payload.
func objectOrNothing(m message) error {
	if len(m.Payload) == 0 || bytes.Equal(m.Payload, []byte("null")) || m.Payload[0] == '{' {
		return nil
	}
	return breach(closeBadMessage, "Invalid message: the payload of %s must be an object", m.Type)
}

func checkSubscribe(m message) error {
	if m.ID == "" {
		return breach(closeBadMessage, "Invalid message: subscribe needs an id")
	}
	var payload struct {
		Query         *string                    `json:"query"`
		OperationName *string                    `json:"operationName"`
		Variables     map[string]json.RawMessage `json:"variables"`
		Extensions    map[string]json.RawMessage `json:"extensions"`
	}
	err := errors.New("no payload")
	if len(m.Payload) > 0 {
		err = json.Unmarshal(m.Payload, &payload)
	}
	if err != nil || payload.Query == nil {
		return breach(closeBadMessage, "Invalid message: the payload of subscribe must be a GraphQL request")
	}
	return nil
}
