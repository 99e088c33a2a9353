package serving

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"onhand/cli/serving/dbsettings"
	"onhand/cli/serving/shoppers"
	"onhand/cli/serving/telemetry"
	"onhand/graph/guard"
	"onhand/graph/tokens"
	"onhand/models"
	"onhand/store"
)

// off is the value of a setting that switches something off.
const off = "off"

// shutdownDelayMax bounds shutdown-delay. Kubernetes and systemd kill a process that takes longer than they allow.
const shutdownDelayMax = 5 * time.Minute

// Settings are the settings of the serve command. A group of settings is a struct in a
// file of its own with a method check.
type Settings struct {
	ListenAddr        string        `name:"listen-addr" env:"LISTEN_ADDR" default:"127.0.0.1:8080" help:"host:port; without bearer tokens configured only a loopback address is accepted."`
	ReservationTTL    time.Duration `name:"reservation-ttl" env:"RESERVATION_TTL" default:"15m" help:"Time to live of a reservation that asks for none."`
	ReservationTTLMax time.Duration `name:"reservation-ttl-max" env:"RESERVATION_TTL_MAX" default:"24h" help:"Longest time to live that a reservation may ask for."`
	CompiledReads     string        `name:"compiled-reads" env:"COMPILED_READS" enum:"on,off" default:"on" help:"on, or off: gqlgen's executor answers every query." more:"[why](caching.md#documents)"`
	ShutdownDelay     time.Duration `name:"shutdown-delay" env:"SHUTDOWN_DELAY" default:"0s" help:"How long a server that was told to stop still takes requests, while /readyz answers 503; longer than a load balancer takes to notice." more:"[why](running.md#stopping-without-a-failed-request)"`
	NearCacheBytes    int64         `name:"near-cache-bytes" env:"NEAR_CACHE_BYTES" default:"67108864" help:"Memory for hot stock in the process; 0 for none."`

	dbsettings.ConnectionSettings `embed:"" group:"Further connections to the database:"`

	IdentitySettings `embed:"" group:"Callers, their tokens and what they see:"`
	quantitySettings `embed:"" group:"Callers, their tokens and what they see:"`
	httpSettings     `embed:"" group:"HTTP and TLS:"`
	tlsSettings      `embed:"" group:"HTTP and TLS:"`
	holderSettings   `embed:"" group:"Limits of one holder of reservations:"`
	DocumentSettings `embed:"" group:"Documents and the schema:"`
	adminSettings    `embed:"" group:"Operators and proxies:"`
	proxySettings    `embed:"" group:"Operators and proxies:"`
	rateSettings     `embed:"" group:"Quotas of one caller:"`

	telemetry.TraceSettings `embed:"" group:"Traces:"`
	// Traces are those that TraceSettings has opened; nil for none.
	Traces                   *telemetry.Traces `kong:"-"`
	shoppers.ShopperSettings `embed:"" group:"Simulated shoppers:"`

	Sockets socketSettings `embed:"" group:"Connections and streams:"`

	// Version is the program's.
	Version string `kong:"-"`
	// ShopperCount is how many shoppers this instance simulates.
	ShopperCount int `kong:"-"`
}

// readFiles reads the secrets that are in files. Those of callers' tokens are read by IdentitySettings.
func (s *Settings) readFiles() error {
	for _, secret := range []struct {
		name        string
		value, file *string
	}{
		{"database-read-url", &s.DatabaseReadURL, &s.DatabaseReadURLFile},
		{"database-listen-url", &s.DatabaseListenURL, &s.DatabaseListenURLFile},
		{"gateway-key", &s.GatewayKey, &s.GatewayKeyFile},
		{"simulated-shoppers-token", &s.ShopperToken, &s.ShopperTokenFile},
		{"otel-exporter-otlp-headers", &s.Headers, &s.HeadersFile},
	} {
		value, err := ValueOrFile(secret.name, *secret.value, *secret.file)
		if err != nil {
			return err
		}
		*secret.value, *secret.file = value, "" // read once
	}
	return nil
}

// Check reads the secrets that are in files, and refuses settings that can never work.
func (s *Settings) Check() error {
	if err := s.readFiles(); err != nil {
		return err
	}
	if err := errors.Join(s.ConnectionSettings.Check(), s.IdentitySettings.check()); err != nil {
		return err
	}
	if err := s.DocumentSettings.check(); err != nil {
		return err
	}
	if !s.TokensConfigured() && !guard.IsLoopback(s.ListenAddr) {
		return fmt.Errorf("listen-addr %q: without tokens every scope is granted, so the server listens on a loopback address such as 127.0.0.1:8080 only; set AUTH_SECRET or AUTH_JWKS_URL for others; %s", s.ListenAddr, tokens.SecretHint)
	}
	if s.ReservationTTL < models.ReservationTTLMin || s.ReservationTTL > s.ReservationTTLMax {
		return fmt.Errorf("reservation-ttl %s must be between %s and reservation-ttl-max %s", s.ReservationTTL, models.ReservationTTLMin, s.ReservationTTLMax)
	}
	if err := s.holderSettings.check(s.ReservationTTLMax); err != nil {
		return err
	}
	if s.ShutdownDelay < 0 || s.ShutdownDelay > shutdownDelayMax {
		return fmt.Errorf("shutdown-delay %s must be between 0s and %s", s.ShutdownDelay, shutdownDelayMax)
	}
	if s.NearCacheBytes < 0 {
		return fmt.Errorf("near-cache-bytes %d must not be negative", s.NearCacheBytes)
	}
	return errors.Join(s.quantitySettings.check(), s.httpSettings.check(), s.tlsSettings.check(), s.adminSettings.check(), s.Sockets.check(), s.proxySettings.check(), s.rateSettings.check(), s.TraceSettings.Check())
}

// Store is the configuration of the store.
func (s *Settings) Store() store.Config {
	return store.Config{
		ReservationTTL: s.ReservationTTL, ReservationTTLMax: s.ReservationTTLMax, NearCacheBytes: s.NearCacheBytes, HolderLimits: s.limits(),
		ListenURL: s.DatabaseListenURL, ReplicaURL: s.DatabaseReadURL, ReplicaConnections: s.ReadReplicaConnections, ReplicaLagMax: s.ReadReplicaLagMax, ReplicaTimeout: s.ReadReplicaTimeout,
	}
}

// startShoppers simulates shoppers until ctx ends. stop waits for them.
func (s *Settings) startShoppers(ctx context.Context, handler http.Handler, host string, log *slog.Logger) (stop func()) {
	if s.ShopperCount == 0 {
		return func() {}
	}
	if len(s.AllowedHosts) > 0 {
		host = s.AllowedHosts[0]
	}
	simulation := &shoppers.Simulation{Handler: handler, Host: host, Token: s.ShopperToken, Shoppers: s.ShopperCount, Log: log}
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := simulation.Run(ctx); err != nil {
			log.Error("simulated shoppers stopped", "error", err)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}
