package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
)

// Bounds of the HTTP server.
const (
	headerTimeout   = 5 * time.Second
	bodyTimeout     = 30 * time.Second
	answerTimeout   = time.Minute // for a client that stops reading; streams have deadlines of their own
	idleTimeout     = 2 * time.Minute
	shutdownTimeout = 10 * time.Second // for requests in flight at shutdown
	socketsTimeout  = 2 * time.Second  // for closing handshakes at shutdown
	headerBytesMax  = 32 << 10
)

// off is the value of a setting that switches something off.
const off = "off"

type serveCommand struct {
	ListenAddr        string        `name:"listen-addr" env:"LISTEN_ADDR" default:"127.0.0.1:8080" help:"host:port; only loopback, because every scope is granted there."`
	ReservationTTL    time.Duration `name:"reservation-ttl" env:"RESERVATION_TTL" default:"15m" help:"How long a reservation lasts when the request does not say."`
	ReservationTTLMax time.Duration `name:"reservation-ttl-max" env:"RESERVATION_TTL_MAX" default:"24h" help:"The longest a reservation may last."`
	CompiledReads     string        `name:"compiled-reads" env:"COMPILED_READS" enum:"on,off" default:"on" help:"on, or off: every query is answered by gqlgen's executor."`
	NearCacheBytes    int64         `name:"near-cache-bytes" env:"NEAR_CACHE_BYTES" default:"67108864" help:"Memory for the stock of hot products in this process; 0 for none."`
}

// check refuses settings that can never work.
func (c *serveCommand) check() error {
	if !guard.IsLoopback(c.ListenAddr) {
		return fmt.Errorf("listen on %s? without a way to check tokens every scope is granted, so only a loopback address such as 127.0.0.1:8080 may be listened on", c.ListenAddr)
	}
	if c.ReservationTTL < models.ReservationTTLMin || c.ReservationTTL > c.ReservationTTLMax {
		return fmt.Errorf("reservation-ttl %s must be between %s and reservation-ttl-max %s", c.ReservationTTL, models.ReservationTTLMin, c.ReservationTTLMax)
	}
	if c.NearCacheBytes < 0 {
		return fmt.Errorf("near-cache-bytes %d must not be negative", c.NearCacheBytes)
	}
	return nil
}

// Run serves until the context ends.
func (c *serveCommand) Run(ctx context.Context, s *settings, stdout io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	log := s.logger()
	slog.SetDefault(log)
	slog.SetLogLoggerLevel(slog.LevelDebug) // for libraries that print, such as about a client's broken handshake
	st, err := s.open(store.Config{ReservationTTL: c.ReservationTTL, ReservationTTLMax: c.ReservationTTLMax, NearCacheBytes: c.NearCacheBytes})
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := net.Listen("tcp", c.ListenAddr)
	if err != nil {
		return err
	}
	if err := startStore(ctx, st, s.usesDemo(), log); err != nil {
		_ = listener.Close()
		return err
	}
	closing := transport.NewClosing()
	server := newServer(routes(st, closing, log, c.CompiledReads == off), log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	database, redis := s.servers()
	log.Info("started", "version", version(), "database", database, "redis", redis, "address", listener.Addr().String())
	fmt.Fprintf(stdout, "Onhand is ready: http://%s (playground: http://%s/playground)\n", listener.Addr(), listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	return shutDown(server, closing, log)
}

// startStore prepares the database and starts the background work.
func startStore(ctx context.Context, st *store.Store, demo bool, log *slog.Logger) error {
	if err := prepare(ctx, st, demo, log); err != nil {
		return err
	}
	return st.Start()
}

// prepare brings the tables up to date. With demo it loads the demo shop into a
// database that is still empty.
func prepare(ctx context.Context, st *store.Store, demo bool, log *slog.Logger) error {
	applied, err := st.MigrateWhenUp(ctx)
	if err != nil {
		return err
	}
	if applied > 0 {
		log.Info("migrated", "applied", applied)
	}
	if !demo {
		return nil
	}
	rows, locations, channels := stockfile.Demo()
	return st.Seed(ctx, rows, locations, channels)
}

// newServer is an HTTP server with a bound on every wait for a client.
func newServer(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ConnContext: transport.ConnContext,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// shutDown stops in order: it sends a close code to every socket, takes no new
// connections, finishes the requests in flight, and waits for the handshakes.
func shutDown(server *http.Server, closing *transport.Closing, log *slog.Logger) error {
	closing.Close()
	drain, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	err := server.Shutdown(drain)
	handshakes, cancel := context.WithTimeout(drain, socketsTimeout)
	defer cancel()
	if !closing.Wait(handshakes) {
		log.Info("some sockets did not answer the close")
	}
	return err
}
