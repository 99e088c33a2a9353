package guard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"onhand/models"
)

// SitesConfig says which hosts a server answers to, and which pages may call it.
type SitesConfig struct {
	// Local is a server without tokens, which grants every scope. It answers to loopback
	// hosts, pages of loopback origins may call it, and a request that a proxy passed on is
	// refused: a proxy would hand every scope to its callers.
	Local bool
	// Hosts are names that it answers to as well: shop.example.com, *.example.com for all
	// names below it, shop.example.com:8443 for one port only.
	Hosts []string
	// Origins are those of other pages that may call it: https://shop.example.com,
	// https://*.example.com.
	Origins []string
	// API is the path that pages of other sites may not link to; empty for none.
	API string
	// Exempt are paths that answer everybody: those that load balancers ask.
	Exempt []string
}

// Sites refuses requests that a page of another site sends through a visitor's browser.
// Make it with NewSites.
type Sites struct {
	config  SitesConfig
	hosts   hostPatterns
	origins []originPattern
	// known is the first Host that was allowed. Nearly all requests have the same.
	known atomic.Pointer[string]

	proxies   Proxies
	onRefused func(ctx context.Context, err error)
}

// OnRefused has log called for each request that is refused, with a context that has its
// address. It must be called before the first request.
func (s *Sites) OnRefused(proxies Proxies, log func(ctx context.Context, err error)) {
	s.proxies, s.onRefused = proxies, log
}

// NewSites checks and reads the configuration.
func NewSites(config SitesConfig) (*Sites, error) {
	s := &Sites{config: config}
	for _, text := range config.Hosts {
		if err := s.hosts.add(text); err != nil {
			return nil, err
		}
	}
	for _, text := range config.Origins {
		pattern, err := parseOriginPattern(text)
		if err != nil {
			return nil, err
		}
		s.origins = append(s.origins, pattern)
	}
	return s, nil
}

// Handler refuses a request under another host name (DNS rebinding), of a page of
// another site (Origin and Fetch metadata), and of a proxy where the server is Local.
func (s *Sites) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case slices.Contains(s.config.Exempt, r.URL.Path):
		case !s.answersTo(r.Host):
			s.refuse(w, r, "this server does not answer to this host name: name it in ALLOWED_HOSTS")
			return
		case s.config.Local && wasForwarded(r):
			s.refuse(w, r, "without tokens every scope is granted, so a request that a proxy passed on is refused: set AUTH_SECRET or AUTH_JWKS_URL")
			return
		case !s.Allows(r) && !s.allowsLink(r):
			s.refuse(w, r, "pages of this origin may not call this server: name the origin in ALLOWED_ORIGINS")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Sites) refuse(w http.ResponseWriter, r *http.Request, message string) {
	if s.onRefused != nil {
		WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			s.onRefused(r.Context(), &models.Fault{Code: models.CodeForbidden, Message: message})
		}), s.proxies).ServeHTTP(w, r)
	}
	Refuse(w, http.StatusForbidden, models.CodeForbidden, message)
}

// answersTo reports whether the server answers to a Host. No name of another site
// resolves to an address, so where tokens are checked every address is allowed.
func (s *Sites) answersTo(host string) bool {
	if known := s.known.Load(); known != nil && *known == host {
		return true
	}
	allowed := IsLoopback(host) || !s.config.Local && isAddress(host) || s.hosts.match(host)
	if allowed && s.known.Load() == nil {
		s.remember(strings.Clone(host)) // net/http has all headers of a request in one text
	}
	return allowed
}

func (s *Sites) remember(host string) { s.known.CompareAndSwap(nil, &host) }

// Allows reports whether the page that sends a request may call the server: a page of
// its own, or of an allowed origin. A program that is no browser sends neither Origin
// nor Fetch metadata, and may.
func (s *Sites) Allows(r *http.Request) bool {
	origins, site := r.Header["Origin"], r.Header.Get("Sec-Fetch-Site")
	switch len(origins) {
	case 0: // a browser that knows no Fetch metadata sends no Origin with a GET, whose answer no other page can read
		return site == "" || site == "same-origin" || site == "none"
	case 1:
		return s.AllowsOrigin(origins[0]) || (site == "" || site == "same-origin") && isOwnOrigin(origins[0], r)
	}
	return false
}

// AllowsOrigin reports whether pages of an origin may call the server and read its
// answers, beside its own pages.
func (s *Sites) AllowsOrigin(origin string) bool {
	if s.config.Local && LoopbackOrigin(origin) {
		return true
	}
	return slices.ContainsFunc(s.origins, func(p originPattern) bool { return p.match(origin) })
}

// allowsLink reports whether a visitor follows a link of another site to one of the
// server's pages. Frames and the API are no such pages.
func (s *Sites) allowsLink(r *http.Request) bool {
	return r.Method == http.MethodGet && r.URL.Path != s.config.API && r.Header["Origin"] == nil &&
		r.Header.Get("Sec-Fetch-Mode") == "navigate" && r.Header.Get("Sec-Fetch-Dest") == "document"
}

// isOwnOrigin reports whether a request comes from a page of the host that it asks.
// Behind a proxy that ends TLS the server does not know its own scheme.
func isOwnOrigin(origin string, r *http.Request) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, r.Host) && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && r.TLS == nil)
}

// LoopbackOrigin reports whether a page of this origin may call a server that grants
// every scope: only a page that this machine served.
func LoopbackOrigin(origin string) bool {
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && IsLoopback(u.Host)
}

// wasForwarded reports whether a proxy passed a request on. nginx says so by its version of
// HTTP alone, unless it is told to send more: programs have spoken 1.1 for 25 years.
func wasForwarded(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return true
	}
	for name := range r.Header {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "X-Original-Forwarded-For", "X-Original-Host",
			"X-Envoy-External-Address", "X-Proxyuser-Ip", "X-Azure-Clientip", "True-Client-Ip", "Client-Ip",
			"Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Cf-Ray", "Cdn-Loop", "Fastly-Client-Ip", "Fly-Client-Ip":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded") {
			return true
		}
	}
	return false
}

// originPattern matches an origin, or with below all origins of the names below its host.
type originPattern struct {
	scheme, host string // host with its port, where the origin has one
	below        bool
}

func parseOriginPattern(text string) (originPattern, error) {
	u, err := url.Parse(strings.TrimSuffix(strings.ToLower(text), "/"))
	if err != nil || u.Scheme == "" || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return originPattern{}, fmt.Errorf("allowed-origins: %q is no origin such as https://shop.example.com or https://*.example.com", text)
	}
	host, below := strings.CutPrefix(u.Host, "*")
	if strings.Contains(host, "*") || below && !strings.HasPrefix(host, ".") {
		return originPattern{}, fmt.Errorf("allowed-origins: %q may have * as its first label only", text)
	}
	switch {
	case u.Scheme == "https":
		host = strings.TrimSuffix(host, ":443")
	case u.Scheme == "http":
		host = strings.TrimSuffix(host, ":80")
	}
	return originPattern{scheme: u.Scheme, host: host, below: below}, nil
}

// match compares an origin as browsers send it: in lower case, without a default port.
func (p originPattern) match(origin string) bool {
	scheme, host, found := strings.Cut(origin, "://")
	if !found || scheme != p.scheme {
		return false
	}
	if !p.below {
		return host == p.host
	}
	name, found := strings.CutSuffix(host, p.host)
	return found && name != "" && !strings.ContainsAny(name, "/?#@\\:")
}
