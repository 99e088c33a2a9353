package guard

import (
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

const (
	// hopsMax bounds the hops of one request that are looked at, from the server on.
	hopsMax = 32
	// forwardedBytesMax bounds a Forwarded header. It must be read from its beginning,
	// which the client may have written.
	forwardedBytesMax = 4 << 10
)

// Proxies are the addresses of the proxies that may say where a request comes from. The
// zero value trusts none.
type Proxies struct{ networks []netip.Prefix }

// ParseProxies reads addresses and CIDR prefixes.
func ParseProxies(texts []string) (Proxies, error) {
	networks, err := ParseNetworks(texts)
	for _, network := range networks {
		if network.Bits() == 0 {
			return Proxies{}, fmt.Errorf("%s trusts every client to name its own address", network)
		}
	}
	return Proxies{networks}, err
}

// ParseNetworks reads addresses and CIDR prefixes.
func ParseNetworks(texts []string) (networks []netip.Prefix, err error) {
	for _, text := range texts {
		text = strings.TrimSpace(text)
		network, err := netip.ParsePrefix(text)
		if err != nil {
			address, err := netip.ParseAddr(text)
			if err != nil || address.Zone() != "" {
				return nil, fmt.Errorf("%q is no address such as 10.0.0.1 and no prefix such as 10.0.0.0/8", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		if address := network.Addr(); address.Is4In6() {
			if network.Bits() < 96 {
				return nil, fmt.Errorf("%q: write it as an IPv4 prefix", text)
			}
			network = netip.PrefixFrom(address.Unmap(), network.Bits()-96)
		}
		networks = append(networks, network.Masked())
	}
	return networks, nil
}

// trusts reports whether an address is one of a proxy.
func (p Proxies) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.networks, func(n netip.Prefix) bool { return n.Contains(address) })
}

// Sent reports whether a request comes from a trusted proxy, over its connection.
func (p Proxies) Sent(r *http.Request) bool { return p.trusts(peerOf(r)) }

// client returns the address of a request's client: the end of the connection, unless
// that is a trusted proxy. Each trusted proxy names the one before it, so the headers
// are read from their end, up to the first address that is not trusted: what stands
// before it, that client may have written. The address is invalid where a trusted proxy
// names no address, or where the two headers name different clients: a proxy that writes
// one of them lets the client write the other.
func (p Proxies) client(peer netip.Addr, header http.Header) netip.Addr {
	if !p.trusts(peer) {
		return peer
	}
	forwarded, addresses := header["Forwarded"], header["X-Forwarded-For"]
	hasForwarded := slices.ContainsFunc(forwarded, namesClients)
	switch {
	case !hasForwarded && addresses == nil:
		return peer
	case addresses == nil:
		return p.lastUntrusted(peer, forwardedHops(forwarded))
	case !hasForwarded:
		return p.lastUntrusted(peer, listedHops(addresses))
	}
	first, second := p.lastUntrusted(peer, forwardedHops(forwarded)), p.lastUntrusted(peer, listedHops(addresses))
	if first != second {
		return netip.Addr{}
	}
	return first
}

// namesClients reports whether a Forwarded header may have addresses. Some proxies send
// it with the scheme alone.
func namesClients(line string) bool { return strings.Contains(strings.ToLower(line), "for=") }

// lastUntrusted goes through hops from the server on.
func (p Proxies) lastUntrusted(peer netip.Addr, hops func(yield func(string) bool)) netip.Addr {
	client, n := peer, 0
	for hop := range hops {
		if n++; n > hopsMax {
			return netip.Addr{}
		}
		if client = parseHop(hop); !client.IsValid() || !p.trusts(client) {
			return client
		}
	}
	return client
}

// parseHop reads an address with or without a port; IPv6 in brackets or without. It
// returns an invalid address for anything else, such as "unknown" or a made-up name.
func parseHop(text string) netip.Addr {
	text = strings.Trim(text, " \t")
	if inner, ok := strings.CutPrefix(text, "["); ok {
		host, port, closed := strings.Cut(inner, "]")
		if !closed || port != "" && !isPortSuffix(port) {
			return netip.Addr{}
		}
		text = host
	} else if host, port, ok := strings.Cut(text, ":"); ok && !strings.Contains(port, ":") {
		if !isPortSuffix(":" + port) {
			return netip.Addr{}
		}
		text = host
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}

// isPortSuffix reports whether a text is a colon and a port. RFC 7239 also has made-up
// ports, such as :_1a.
func isPortSuffix(text string) bool {
	port, ok := strings.CutPrefix(text, ":")
	if !ok || port == "" || len(port) > 16 {
		return false
	}
	for _, r := range port {
		if (r < '0' || r > '9') && (port[0] != '_' || !isTokenRune(r)) {
			return false
		}
	}
	return true
}

func isTokenRune(r rune) bool {
	return r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("._-", r)
}

// listedHops are the hops of X-Forwarded-For, the last first.
func listedHops(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range slices.Backward(lines) {
			for rest, more := line, true; more; {
				hop := rest
				i := strings.LastIndexByte(rest, ',')
				if more = i >= 0; more {
					rest, hop = rest[:i], rest[i+1:]
				}
				if !yield(hop) {
					return
				}
			}
		}
	}
}

// forwardedHops are the hops of Forwarded (RFC 7239), the last first. A line that cannot
// be read is a hop without an address.
func forwardedHops(lines []string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for _, line := range slices.Backward(lines) {
			for _, hop := range slices.Backward(readForwarded(line)) {
				if !yield(hop) {
					return
				}
			}
		}
	}
}

// readForwarded returns the "for" of each hop of one line, empty where a hop has none. A
// line that is too long or no list of parameters is one hop without an address.
func readForwarded(line string) (hops []string) {
	if len(line) > forwardedBytesMax {
		return []string{""}
	}
	hop, named := "", false
	for rest := line; ; {
		name, value, after, ok := cutParameter(rest)
		if !ok {
			return []string{""}
		}
		if strings.EqualFold(name, "for") {
			if named {
				return []string{""}
			}
			hop, named = value, true
		}
		if after == "" || after[0] == ',' {
			hops = append(hops, hop)
			hop, named = "", false
		}
		if after == "" {
			return hops
		}
		rest = after[1:]
	}
}

// cutParameter reads one name=value, the value a token or a quoted text, up to the end,
// a comma or a semicolon, which after begins with.
func cutParameter(text string) (name, value, after string, ok bool) {
	text = strings.TrimLeft(text, " \t")
	end := strings.IndexAny(text, "=,;")
	if end < 0 || text[end] != '=' {
		end = len(text)
		if i := strings.IndexAny(text, ",;"); i >= 0 {
			end = i
		}
		return "", "", text[end:], strings.Trim(text[:end], " \t") == "" // an empty element of a list
	}
	name, text = text[:end], text[end+1:]
	if quoted, isQuoted := strings.CutPrefix(text, `"`); isQuoted {
		end = strings.IndexByte(quoted, '"')
		if end < 0 || strings.IndexByte(quoted[:end], '\\') >= 0 { // no address has an escape
			return "", "", "", false
		}
		value, text = quoted[:end], strings.TrimLeft(quoted[end+1:], " \t")
		return name, value, text, text == "" || text[0] == ',' || text[0] == ';'
	}
	end = strings.IndexAny(text, ",;")
	if end < 0 {
		end = len(text)
	}
	return name, strings.Trim(text[:end], " \t"), text[end:], strings.IndexByte(text[:end], '"') < 0
}
