package guard

import (
	"context"
	"net/http"
	"net/netip"
)

// networkBits is how much of an IPv6 address names a caller: providers give each
// customer a network of this size.
const networkBits = 64

// unknownAddress names all clients of whom a trusted proxy names no address.
const unknownAddress = "unknown"

// clientAddress is the address of a request's client.
type clientAddress struct {
	found   bool // by WithAddress
	address netip.Addr
}

// WithAddress keeps the address of the client in the request's context: that of its end
// of the connection, or what trusted proxies say.
func WithAddress(next http.Handler, proxies Proxies) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		facts, r := factsOf(r)
		facts.address = clientAddress{true, proxies.client(peerOf(r), r.Header)}
		next.ServeHTTP(w, r)
	})
}

// WithRequestID returns a request whose context has its id, for the log. header is the id as
// the value of a header.
func WithRequestID(r *http.Request, id string) (_ *http.Request, header []string) {
	facts, r := factsOf(r)
	facts.requestID[0] = id
	return r, facts.requestID[:]
}

// RequestID returns the id of a request; empty where WithRequestID is not in use.
func RequestID(ctx context.Context) string {
	if facts := factsIn(ctx); facts != nil {
		return facts.requestID[0]
	}
	return ""
}

// peerOf returns the address of the other end of a request's connection; an invalid one
// where that is no TCP connection.
func peerOf(r *http.Request) netip.Addr {
	port, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return port.Addr().Unmap().WithZone("")
}

// ClientAddress returns the address of the client. It is invalid where a trusted proxy
// does not name it, and where WithAddress is not in use.
func ClientAddress(ctx context.Context) netip.Addr {
	if facts := factsIn(ctx); facts != nil {
		return facts.address.address
	}
	return netip.Addr{}
}

// ClientNetwork returns the network that names the client in bounds that each client has
// of its own: an IPv4 address, or the /64 of an IPv6 address. It is invalid where
// ClientAddress is.
func ClientNetwork(ctx context.Context) netip.Prefix {
	address := ClientAddress(ctx)
	if address.Is6() {
		network, _ := address.Prefix(networkBits) // an IPv6 address has as many bits
		return network
	}
	return netip.PrefixFrom(address, address.BitLen())
}

// Address is ClientNetwork as a text, without the length of a whole address. It is
// "unknown" for clients of whom a trusted proxy names no address, and empty where
// WithAddress is not in use.
func Address(ctx context.Context) string {
	facts := factsIn(ctx)
	if facts == nil || !facts.address.found {
		return ""
	}
	switch address := facts.address.address; {
	case !address.IsValid():
		return unknownAddress
	case address.Is4():
		return address.String()
	}
	return ClientNetwork(ctx).String()
}
