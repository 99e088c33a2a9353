package guard

import (
	"context"
	"net/http"
	"net/netip"
)

// networkBits is how much of an IPv6 address names a caller: providers give each
// customer a network of this size.
const networkBits = 64

// WithAddress keeps the address of the client's end of the connection in the request's
// context, for Address.
func WithAddress(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, r := factsOf(r)
		facts.address = r.RemoteAddr
		next.ServeHTTP(w, r)
	})
}

// Address names the caller by its address, for bounds that each caller has of its own:
// an IPv4 address, or the network of an IPv6 address. It is empty where WithAddress is
// not in use.
func Address(ctx context.Context) string {
	facts := factsIn(ctx)
	if facts == nil {
		return ""
	}
	port, err := netip.ParseAddrPort(facts.address)
	if err != nil {
		return facts.address
	}
	address := port.Addr().Unmap().WithZone("")
	if address.Is4() {
		return address.String()
	}
	network, _ := address.Prefix(networkBits) // an IPv6 address has as many bits
	return network.String()
}
