package serving

import (
	"fmt"
	"net/http"

	"github.com/rs/cors"

	"onhand/graph/guard"
)

// The paths of the server.
const (
	graphqlPath    = "/graphql"
	playgroundPath = "/playground"
	healthPath     = "/healthz"
	readyPath      = "/readyz"
)

// httpSettings say which hosts the server answers to, and which pages may call it.
type httpSettings struct {
	AllowedOrigins []string `name:"allowed-origins" env:"ALLOWED_ORIGINS" placeholder:"ORIGIN" help:"Pages that may call the server from a browser beside its own: https://shop.example.com, https://*.example.com."`
	AllowedHosts   []string `name:"allowed-hosts" env:"ALLOWED_HOSTS" placeholder:"HOST" help:"Host names that the server answers to beside localhost: shop.example.com, *.example.com, shop.example.com:8443." more:"[rules](security.md#browsers)"`
}

func (s *httpSettings) check() error {
	_, err := s.sites(true)
	return err
}

// sites decides on hosts and origins. A local server is one that checks no tokens.
func (s *httpSettings) sites(local bool) (*guard.Sites, error) {
	return guard.NewSites(guard.SitesConfig{
		Local: local, Hosts: s.AllowedHosts, Origins: s.AllowedOrigins, API: graphqlPath, Exempt: []string{healthPath, readyPath},
	})
}

// corsMaxAge is how long a browser need not ask again what a page may send, in seconds.
const corsMaxAge = 600

// allowPages lets pages of allowed origins call the API and read its answers (CORS).
func allowPages(sites *guard.Sites) func(http.Handler) http.Handler {
	return cors.New(cors.Options{
		AllowOriginFunc: sites.AllowsOrigin, AllowedMethods: []string{"GET", "POST", "PUT", "DELETE"}, AllowedHeaders: []string{"*"},
		ExposedHeaders: []string{"Retry-After", "RateLimit", "RateLimit-Policy", "X-Request-Id"}, MaxAge: corsMaxAge,
	}).Handler
}

// proxySettings say which proxies are in front of the server.
type proxySettings struct {
	TrustedProxies []string `name:"trusted-proxies" env:"TRUSTED_PROXIES" placeholder:"ADDRESSES" help:"Addresses and prefixes of the proxies in front of the server: their Forwarded or X-Forwarded-For says where a request comes from."`
}

func (s *proxySettings) check() error {
	_, err := guard.ParseProxies(s.TrustedProxies)
	if err != nil {
		return fmt.Errorf("trusted-proxies: %w", err)
	}
	return nil
}

// proxies are the trusted proxies. The settings were checked.
func (s *proxySettings) proxies() guard.Proxies {
	proxies, _ := guard.ParseProxies(s.TrustedProxies)
	return proxies
}
