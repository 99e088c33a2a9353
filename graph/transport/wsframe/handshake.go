package wsframe

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"net/http"
	"strings"
	"time"
)

// keyGUID is RFC 6455's constant for Sec-WebSocket-Accept.
const keyGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const (
	keyBytes  = 16
	version   = "13"
	protocols = "Sec-WebSocket-Protocol"
)

// handshakeTimeout bounds the write of the answer to a handshake.
const handshakeTimeout = 10 * time.Second

// Handshake is what a server accepts.
type Handshake struct {
	Protocol string // the subprotocol
	// Allows reports whether the page that sends a handshake may connect. Without it no
	// page may. A program sends no origin.
	Allows   func(*http.Request) bool
	BytesMax int // of a message
}

// Refusal is a refused handshake.
type Refusal struct {
	Status  int // of HTTP
	Message string
}

// Error implements error.
func (r Refusal) Error() string { return r.Message }

// Accept checks a handshake and answers it. protocol is false where the client offers
// no supported subprotocol; the caller must then close the connection. The handler may
// return after Accept: net/http's goroutine and buffers do not stay.
//
// Errors: a Refusal, for the caller to answer; headers of it are set. Any other error
// means that the connection is lost.
func Accept(w http.ResponseWriter, r *http.Request, h Handshake) (c *Conn, protocol bool, err error) {
	if err := check(w.Header(), r); err != nil {
		return nil, false, err
	}
	if !h.allows(r) {
		return nil, false, Refusal{http.StatusForbidden, "pages of this origin may not open a WebSocket"}
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, false, Refusal{http.StatusNotImplemented, "this connection cannot become a WebSocket"}
	}
	early, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	c = newConn(conn, bytes.Clone(early), h.BytesMax)
	chosen := choose(r.Header, h.Protocol)
	if _, err := c.Write(answer(r.Header, chosen), handshakeTimeout, handshakeTimeout); err != nil {
		c.Close()
		return nil, false, err
	}
	return c, chosen != "", nil
}

// check checks the headers of a handshake.
func check(answer http.Header, r *http.Request) error {
	if !r.ProtoAtLeast(1, 1) || !hasToken(r.Header, "Connection", "upgrade") || !hasToken(r.Header, "Upgrade", "websocket") {
		answer.Set("Connection", "Upgrade")
		answer.Set("Upgrade", "websocket")
		return Refusal{http.StatusUpgradeRequired, "this is no WebSocket handshake"}
	}
	if r.Method != http.MethodGet {
		return Refusal{http.StatusMethodNotAllowed, "a WebSocket handshake is a GET"}
	}
	if r.Header.Get("Sec-WebSocket-Version") != version {
		answer.Set("Sec-WebSocket-Version", version)
		return Refusal{http.StatusBadRequest, "this is no WebSocket handshake of version " + version}
	}
	keys := r.Header.Values("Sec-WebSocket-Key")
	if len(keys) != 1 {
		return errKey
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(keys[0])); err != nil || len(key) != keyBytes {
		return errKey
	}
	return nil
}

var errKey error = Refusal{http.StatusBadRequest, "this is no WebSocket handshake: Sec-WebSocket-Key must be 16 bytes in base64"}

func (h Handshake) allows(r *http.Request) bool {
	if h.Allows != nil {
		return h.Allows(r)
	}
	return r.Header.Get("Origin") == ""
}

// choose returns the client's spelling of a subprotocol; empty where it offers none.
func choose(header http.Header, protocol string) string {
	for token := range tokens(header, protocols) {
		if strings.EqualFold(token, protocol) {
			return token
		}
	}
	return ""
}

func answer(header http.Header, protocol string) []byte {
	sum := sha1.Sum([]byte(strings.TrimSpace(header.Get("Sec-WebSocket-Key")) + keyGUID))
	b := make([]byte, 0, 192)
	b = append(b, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	b = base64.StdEncoding.AppendEncode(b, sum[:])
	if protocol != "" {
		b = append(append(b, "\r\n"+protocols+": "...), protocol...)
	}
	return append(b, "\r\n\r\n"...)
}

// IsHandshake reports whether a request asks for a WebSocket.
func IsHandshake(r *http.Request) bool { return r.Header.Get("Upgrade") != "" }

func hasToken(header http.Header, name, token string) bool {
	for found := range tokens(header, name) {
		if strings.EqualFold(found, token) {
			return true
		}
	}
	return false
}

// tokens yields the members of a header that is a list.
func tokens(header http.Header, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range header.Values(name) {
			for token := range strings.SplitSeq(line, ",") {
				if token = strings.TrimSpace(token); token != "" && !yield(token) {
					return
				}
			}
		}
	}
}
