package rawparams

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"
)

// depthMax is how deep values are nested that are read by hand.
const depthMax = 32

// Decode reads a request, which must be exactly one JSON value.
func Decode(data []byte) (params *graphql.RawParams, ok bool) {
	p := parser{data: data}
	sent := &request{}
	if !p.request(sent) {
		sent = &request{}
		ok = DecodeValue(data, sent)
	} else {
		ok = true
	}
	SetDocumentID(&sent.RawParams, sent.DocumentID)
	return &sent.RawParams, ok
}

// DecodeNext reads the next of several requests with encoding/json; nil where it is none.
func DecodeNext(decoder *json.Decoder) *graphql.RawParams {
	var sent *request
	if decoder.Decode(&sent) != nil || sent == nil {
		return nil
	}
	SetDocumentID(&sent.RawParams, sent.DocumentID)
	return &sent.RawParams
}

// request is a request as it is sent.
type request struct {
	graphql.RawParams
	DocumentID string `json:"documentId"` // names a document, in place of the document
}

// SetDocumentID gives a request the id of its document, as if it had been sent as the hash
// of a persisted query. Such a hash counts where both were sent.
func SetDocumentID(params *graphql.RawParams, id string) {
	if id == "" || params.Extensions["persistedQuery"] != nil {
		return
	}
	if params.Extensions == nil {
		params.Extensions = map[string]any{}
	}
	params.Extensions["persistedQuery"] = map[string]any{"version": json.Number("1"), "sha256Hash": id}
}

// DecodeValue reads exactly one JSON value with encoding/json, and keeps numbers as text.
func DecodeValue(data []byte, to any) bool {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if decoder.Decode(to) != nil {
		return false
	}
	_, err := decoder.Token()
	return err == io.EOF
}

// parser reads JSON by hand. Its methods return false for what it does not read.
type parser struct {
	data []byte
	at   int
}

// request reads a whole request.
func (p *parser) request(params *request) bool {
	var seen [5]bool
	read := p.members(func(key []byte) bool {
		var member int
		switch string(key) { // no allocation
		case "query":
			member = 0
		case "operationName":
			member = 1
		case "variables":
			member = 2
		case "extensions":
			member = 3
		case "documentId":
			member = 4
		default:
			return false
		}
		if seen[member] { // encoding/json merges objects
			return false
		}
		seen[member] = true
		if p.next() == 'n' {
			return p.literal("null")
		}
		var ok bool
		switch member {
		case 0:
			params.Query, ok = p.text()
		case 1:
			params.OperationName, ok = p.text()
		case 2:
			params.Variables, ok = p.object(1)
		case 3:
			params.Extensions, ok = p.object(1)
		case 4:
			params.DocumentID, ok = p.text()
		}
		return ok
	})
	return read && p.next() == 0 && p.at == len(p.data)
}

// members reads an object. member reads the value of a key; the key has no escapes and is valid until then.
func (p *parser) members(member func(key []byte) bool) bool {
	if p.next() != '{' {
		return false
	}
	p.at++
	if p.next() == '}' {
		p.at++
		return true
	}
	for {
		key, ok := p.plain()
		if !ok || p.next() != ':' {
			return false
		}
		p.at++
		if !member(key) {
			return false
		}
		switch p.next() {
		case ',':
			p.at++
			if p.next() != '"' {
				return false
			}
		case '}':
			p.at++
			return true
		default:
			return false
		}
	}
}

// next skips white space and returns the byte after it; 0 at the end.
func (p *parser) next() byte {
	for ; p.at < len(p.data); p.at++ {
		switch c := p.data[p.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

func (p *parser) literal(word string) bool {
	if len(p.data)-p.at < len(word) || string(p.data[p.at:p.at+len(word)]) != word {
		return false
	}
	p.at += len(word)
	return true
}

// run returns the end of the characters of a string from i on that stand for themselves.
func (p *parser) run(i int) int {
	for i < len(p.data) && p.data[i] != '"' && p.data[i] != '\\' && p.data[i] >= ' ' {
		i++
	}
	return i
}

// plain reads a string without escapes. It refers to the data.
func (p *parser) plain() ([]byte, bool) {
	if p.next() != '"' {
		return nil, false
	}
	start := p.at + 1
	end := p.run(start)
	if end == len(p.data) || p.data[end] != '"' {
		return nil, false
	}
	p.at = end + 1
	return p.data[start:end], utf8.Valid(p.data[start:end]) // encoding/json replaces invalid bytes
}

// unescaped has what a short escape stands for; 0 for the others.
var unescaped = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// text reads a string, and copies it.
func (p *parser) text() (string, bool) {
	if p.next() != '"' {
		return "", false
	}
	start := p.at + 1
	i := p.run(start)
	if i < len(p.data) && p.data[i] == '"' {
		p.at = i + 1
		return string(p.data[start:i]), utf8.Valid(p.data[start:i])
	}
	out := append(make([]byte, 0, 2*(i-start)+64), p.data[start:i]...)
	for i+1 < len(p.data) && p.data[i] == '\\' {
		c := unescaped[p.data[i+1]]
		if c == 0 {
			return "", false
		}
		end := p.run(i + 2)
		out = append(append(out, c), p.data[i+2:end]...)
		i = end
	}
	if i >= len(p.data) || p.data[i] != '"' {
		return "", false
	}
	p.at = i + 1
	return string(out), utf8.Valid(out)
}

// object reads an object at this depth.
func (p *parser) object(depth int) (map[string]any, bool) {
	object := map[string]any{}
	ok := p.members(func(key []byte) bool {
		name := string(key)
		value, ok := p.value(depth + 1)
		object[name] = value
		return ok
	})
	return object, ok
}

// array reads an array at this depth.
func (p *parser) array(depth int) ([]any, bool) {
	p.at++
	list := make([]any, 0, 4)
	if p.next() == ']' {
		p.at++
		return list, true
	}
	for {
		value, ok := p.value(depth + 1)
		if !ok {
			return nil, false
		}
		list = append(list, value)
		switch p.next() {
		case ',':
			p.at++
		case ']':
			p.at++
			return list, true
		default:
			return nil, false
		}
	}
}

// value reads any value.
func (p *parser) value(depth int) (any, bool) {
	if depth > depthMax {
		return nil, false
	}
	switch c := p.next(); {
	case c == '"':
		return boxed(p.text())
	case c == '{':
		return boxed(p.object(depth))
	case c == '[':
		return boxed(p.array(depth))
	case c == 't':
		return true, p.literal("true")
	case c == 'f':
		return false, p.literal("false")
	case c == 'n':
		return nil, p.literal("null")
	case c == '-' || isDigit(c):
		return boxed(p.number())
	}
	return nil, false
}

func boxed[T any](value T, ok bool) (any, bool) { return value, ok }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// number reads a number, and keeps it as text.
func (p *parser) number() (json.Number, bool) {
	start := p.at
	p.skip('-')
	if !p.skip('0') && !p.digits() {
		return "", false
	}
	if p.skip('.') && !p.digits() {
		return "", false
	}
	if p.skip('e') || p.skip('E') {
		if !p.skip('+') {
			p.skip('-')
		}
		if !p.digits() {
			return "", false
		}
	}
	return json.Number(p.data[start:p.at]), true
}

// skip skips one byte, where it is c.
func (p *parser) skip(c byte) bool {
	if p.at < len(p.data) && p.data[p.at] == c {
		p.at++
		return true
	}
	return false
}

// digits skips digits, and reports whether there was one.
func (p *parser) digits() bool {
	start := p.at
	for p.at < len(p.data) && isDigit(p.data[p.at]) {
		p.at++
	}
	return p.at > start
}
