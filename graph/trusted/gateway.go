package trusted

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// GatewayHeader is the header in which a gateway sends its key. A WebSocket has it in its
// handshake.
const GatewayHeader = "Onhand-Gateway-Key"

// fromGateway is the key, in a context, of a gateway's request.
type fromGateway struct{}

// WithGateways notes which requests are a gateway's: those with the key. A request with
// another key, or with several, is like one without. Without a key no request is a gateway's.
func WithGateways(key string, next http.Handler) http.Handler {
	if key == "" {
		return next
	}
	want := sha256.Sum256([]byte(key))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sent := r.Header[GatewayHeader]; len(sent) == 1 {
			if got := sha256.Sum256([]byte(sent[0])); subtle.ConstantTimeCompare(got[:], want[:]) == 1 {
				r = r.WithContext(context.WithValue(r.Context(), fromGateway{}, true))
			}
		}
		next.ServeHTTP(w, r)
	})
}

// FromGateway reports whether a request had the key of a gateway.
func FromGateway(ctx context.Context) bool { return ctx.Value(fromGateway{}) != nil }
