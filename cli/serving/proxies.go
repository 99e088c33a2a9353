package serving

import (
	"fmt"

	"onhand/graph/guard"
)

// proxySettings say which proxies are in front of the server.
type proxySettings struct {
	TrustedProxies []string `name:"trusted-proxies" env:"TRUSTED_PROXIES" placeholder:"ADDRESSES" help:"Addresses and prefixes (10.0.0.0/8) of the proxies whose Forwarded or X-Forwarded-For says where a request comes from."`
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
