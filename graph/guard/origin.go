package guard

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"onhand/models"
)

// IsLoopback reports whether a host (with or without port) is this machine.
func IsLoopback(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	if host == "localhost" {
		return true
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return false
		}
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// LoopbackOrigin reports whether a page of this origin may call a server that grants
// every scope: only a page that this machine served.
func LoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && IsLoopback(u.Host)
}

// LoopbackOnly refuses requests that a page of another site could send through a
// visitor's browser: under a host name that resolves to this machine (Host, DNS
// rebinding) or as a page of another origin (Origin).
func LoopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if !IsLoopback(r.Host) || (origin != "" && !LoopbackOrigin(origin)) {
			Refuse(w, http.StatusForbidden, models.CodeForbidden, "only pages and programs of this machine may ask")
			return
		}
		next.ServeHTTP(w, r)
	})
}
