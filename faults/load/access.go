package load

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"time"
)

// tokenLifetime is longer than any scenario.
const tokenLifetime = 24 * time.Hour

// ClientAccess is how a client reaches instances. The zero ClientAccess is that of a client without a token.
type ClientAccess struct {
	// Token is sent with each request; empty for none.
	Token string
	// Source is the address (127.0.0.9) that the client's connections come from; empty for any.
	Source string
}

// NewToken is a bearer token with these scopes (with spaces between them), signed by HS256.
func NewToken(secret, subject, scopes string) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	text := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(fmt.Sprintf(`{"sub":%q,"scope":%q,"exp":%d}`, subject, scopes, time.Now().Add(tokenLifetime).Unix()))
	signer := hmac.New(sha256.New, []byte(secret))
	_, _ = signer.Write([]byte(text)) // a hash; cannot fail
	return text + "." + base64.RawURLEncoding.EncodeToString(signer.Sum(nil))
}

// dialer dials from the source.
func (a ClientAccess) dialer() *net.Dialer {
	dialer := &net.Dialer{Timeout: dialLimit}
	if a.Source != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(a.Source)}
	}
	return dialer
}

// over sends the token over a transport.
func (a ClientAccess) over(transport http.RoundTripper) http.RoundTripper {
	if a.Token == "" {
		return transport
	}
	return tokenTransport{transport, "Bearer " + a.Token}
}

// tokenTransport sends a token with each request.
type tokenTransport struct {
	http.RoundTripper
	authorization string
}

// RoundTrip implements http.RoundTripper.
func (t tokenTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", t.authorization)
	return t.RoundTripper.RoundTrip(r)
}
