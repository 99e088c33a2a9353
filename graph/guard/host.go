package guard

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// IsLoopback reports whether a host (with or without port) is this machine.
func IsLoopback(hostport string) bool {
	host, _ := splitPort(hostport)
	if host == "localhost" {
		return true
	}
	addr, ok := addressOf(host)
	return ok && addr.IsLoopback()
}

// isAddress reports whether a host (with or without port) is an IP address.
func isAddress(hostport string) bool {
	host, _ := splitPort(hostport)
	_, ok := addressOf(host)
	return ok
}

// splitPort returns the host of a host with or without port.
func splitPort(hostport string) (host, port string) {
	if host, port, err := net.SplitHostPort(hostport); err == nil {
		return host, port
	}
	return hostport, ""
}

// addressOf reads an address, with or without brackets.
func addressOf(host string) (address netip.Addr, ok bool) {
	if inner, bracket := strings.CutPrefix(host, "["); bracket {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return netip.Addr{}, false
		}
	}
	address, err := netip.ParseAddr(host)
	return address, err == nil
}

// hostPatterns are names of hosts.
type hostPatterns struct {
	exact map[string]bool // with a port, or without for every port
	below []string        // .example.com for the names below example.com
}

func (p *hostPatterns) add(text string) error {
	name := strings.ToLower(text)
	host, port := splitPort(name)
	if u, err := url.Parse("//" + name); err != nil || u.Host != name || host == "" || port == "" && strings.Contains(name, ":") && !isAddress(name) || strings.HasSuffix(host, ".") {
		return fmt.Errorf("allowed-hosts: %q is no host such as shop.example.com or *.example.com", text)
	}
	rest, below := strings.CutPrefix(host, "*")
	switch {
	case strings.Contains(rest, "*") || below && (len(rest) < 2 || rest[0] != '.' || port != ""):
		return fmt.Errorf("allowed-hosts: %q may have * as its first label only, and then no port", text)
	case below:
		p.below = append(p.below, rest)
	default:
		if p.exact == nil {
			p.exact = map[string]bool{}
		}
		p.exact[name] = true
	}
	return nil
}

func (p *hostPatterns) match(hostport string) bool {
	hostport = strings.ToLower(hostport)
	host, _ := splitPort(hostport)
	if host == "" || p.exact[hostport] || p.exact[host] {
		return host != ""
	}
	for _, suffix := range p.below {
		if name, found := strings.CutSuffix(host, suffix); found && name != "" && !strings.ContainsAny(name, "/?#@\\") {
			return true
		}
	}
	return false
}
