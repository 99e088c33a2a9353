package serving

import (
	"errors"
	"fmt"
	"time"

	"onhand/graph/guard"
	"onhand/models"
	"onhand/store"
)

// off is the value of a setting that switches something off.
const off = "off"

// Settings are the settings of the serve command. A group of settings is a struct in a
// file of its own with a method check.
type Settings struct {
	ListenAddr        string        `name:"listen-addr" env:"LISTEN_ADDR" default:"127.0.0.1:8080" help:"host:port; only loopback, unless bearer tokens are checked."`
	ReservationTTL    time.Duration `name:"reservation-ttl" env:"RESERVATION_TTL" default:"15m" help:"How long a reservation lasts when the request does not say."`
	ReservationTTLMax time.Duration `name:"reservation-ttl-max" env:"RESERVATION_TTL_MAX" default:"24h" help:"The longest a reservation may last."`
	CompiledReads     string        `name:"compiled-reads" env:"COMPILED_READS" enum:"on,off" default:"on" help:"on, or off: every query is answered by gqlgen's executor."`
	NearCacheBytes    int64         `name:"near-cache-bytes" env:"NEAR_CACHE_BYTES" default:"67108864" help:"Memory for the stock of hot products in this process; 0 for none."`

	IdentitySettings `embed:""`
	quantitySettings `embed:""`
	httpSettings     `embed:""`
	tlsSettings      `embed:""`
	holderSettings   `embed:""`
	DocumentSettings `embed:""`
	adminSettings    `embed:""`
	proxySettings    `embed:""`
	rateSettings     `embed:""`

	Sockets socketSettings `embed:""`
}

// Check refuses settings that can never work.
func (s *Settings) Check() error {
	if err := s.IdentitySettings.check(); err != nil {
		return err
	}
	if err := s.DocumentSettings.check(); err != nil {
		return err
	}
	if !s.TokensConfigured() && !guard.IsLoopback(s.ListenAddr) {
		return fmt.Errorf("listen on %s? without a way to check tokens every scope is granted, so only a loopback address such as 127.0.0.1:8080 may be listened on; set AUTH_SECRET or AUTH_JWKS_URL", s.ListenAddr)
	}
	if s.ReservationTTL < models.ReservationTTLMin || s.ReservationTTL > s.ReservationTTLMax {
		return fmt.Errorf("reservation-ttl %s must be between %s and reservation-ttl-max %s", s.ReservationTTL, models.ReservationTTLMin, s.ReservationTTLMax)
	}
	if err := s.holderSettings.check(s.ReservationTTLMax); err != nil {
		return err
	}
	if s.NearCacheBytes < 0 {
		return fmt.Errorf("near-cache-bytes %d must not be negative", s.NearCacheBytes)
	}
	return errors.Join(s.quantitySettings.check(), s.httpSettings.check(), s.tlsSettings.check(), s.adminSettings.check(), s.Sockets.check(), s.proxySettings.check(), s.rateSettings.check())
}

// Store is the configuration of the store.
func (s *Settings) Store() store.Config {
	return store.Config{ReservationTTL: s.ReservationTTL, ReservationTTLMax: s.ReservationTTLMax, NearCacheBytes: s.NearCacheBytes, HolderLimits: s.limits()}
}
