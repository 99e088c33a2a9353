package serving

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/cli/serving/admin"
	"onhand/graph/guard"
	"onhand/store"
)

// adminSettings say where operators ask.
type adminSettings struct {
	AdminAddr string `name:"admin-addr" env:"ADMIN_ADDR" default:"127.0.0.1:8081" help:"host:port of metrics, profiles and health details where bearer tokens are configured, or off. It asks for no token: keep it on loopback or in a private network."`
}

func (s *adminSettings) check() error {
	if s.AdminAddr == off || s.AdminAddr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(s.AdminAddr); err != nil {
		return fmt.Errorf("admin-addr %s: %w", s.AdminAddr, err)
	}
	return nil
}

// serveAdmin serves operators until stop is called. Without tokens, and where it is off,
// nothing listens.
func (s *Settings) serveAdmin(ctx context.Context, st *store.Store, registry *prometheus.Registry, log *slog.Logger) (stop func(), err error) {
	if !s.TokensConfigured() || s.AdminAddr == off || s.AdminAddr == "" {
		return func() {}, nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.AdminAddr)
	if err != nil {
		return nil, fmt.Errorf("admin-addr: %w", err)
	}
	server := newServer(admin.Handler(admin.Sources{Registry: registry, Health: st.Health, Log: log, Loopback: guard.IsLoopback(s.AdminAddr)}), nil, log)
	server.WriteTimeout = admin.WriteTimeout
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(listener); err != http.ErrServerClosed {
			log.Error("the admin listener ended", "error", err)
		}
	}()
	log.Info("operators may ask", "address", listener.Addr().String())
	return func() {
		_ = server.Close()
		<-ended
	}, nil
}
