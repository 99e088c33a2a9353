// Onhand is live stock for storefronts: a GraphQL API over Postgres and Redis.
// This file holds its commands and puts the packages together; run
// "onhand --help" for the settings, and see ARCHITECTURE.md for the house.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/klauspost/compress/gzhttp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/cors"

	"onhand/graph"
	"onhand/graph/guard"
	"onhand/graph/transport"
	"onhand/models"
	"onhand/store"
	"onhand/store/stockfile"
	"onhand/web"
)

// Bounds of the server.
const (
	headerTimeout   = 5 * time.Second
	bodyTimeout     = 30 * time.Second
	answerTimeout   = time.Minute // a client that stops reading; streams have deadlines of their own
	idleTimeout     = 2 * time.Minute
	drainTimeout    = 10 * time.Second // requests under way when the server is told to stop
	socketsTimeout  = 2 * time.Second  // closing handshakes
	readyTimeout    = 2 * time.Second
	headerBytesMax  = 32 << 10
	databaseDefault = "onhand.db"
)

// settings are shared by all commands; every flag has an environment variable.
type settings struct {
	DatabaseURL string `name:"database-url" env:"DATABASE_URL" placeholder:"URL" help:"postgres://… (several hosts allowed), sqlite:PATH or sqlite::memory:. Default: a SQLite file in your data directory."`
	RedisURL    string `name:"redis-url" env:"REDIS_URL" placeholder:"URL" help:"redis://… or rediss://…, several seeds or ?cluster=true for Cluster, ?master=NAME for Sentinel. Default: one inside this process."`
	LogLevel    string `name:"log-level" env:"LOG_LEVEL" enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error."`
}

type cli struct {
	settings
	Serve   serveCommand   `cmd:"" default:"withargs" help:"Serve the API (the default)."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's tables up to date, and end."`
	Import  importCommand  `cmd:"" help:"Take stock from a file."`
	Export  exportCommand  `cmd:"" help:"Write all stock to a file."`
	Audit   auditCommand   `cmd:"" help:"Prove that ledger, levels, reservations and Redis agree."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

type serveCommand struct {
	ListenAddr        string        `name:"listen-addr" env:"LISTEN_ADDR" default:"127.0.0.1:8080" help:"host:port; only loopback, because every scope is granted there."`
	ReservationTTL    time.Duration `name:"reservation-ttl" env:"RESERVATION_TTL" default:"15m" help:"How long a reservation holds when nobody says."`
	ReservationTTLMax time.Duration `name:"reservation-ttl-max" env:"RESERVATION_TTL_MAX" default:"24h" help:"The longest a reservation may hold."`
}

func main() {
	var c cli
	parsed := kong.Parse(&c, kong.Name("onhand"), kong.Description("Live stock for storefronts: a GraphQL API over Postgres and Redis."), kong.UsageOnError())
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(&c.settings); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "onhand:", err)
		os.Exit(exitCode(err))
	}
}

// exitCode is 1, but for errors with a code of their own.
func exitCode(err error) int {
	var coded interface{ ExitCode() int }
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

func (s *settings) logger() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(s.LogLevel)) // kong has checked it
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
}

// open makes the store; the default database is a file of the user's.
func (s *settings) open(config store.Config) (*store.Store, error) {
	config.DatabaseURL, config.RedisURL, config.Logger = s.DatabaseURL, s.RedisURL, s.logger()
	if config.DatabaseURL == "" {
		folder, err := dataFolder()
		if err != nil {
			return nil, err
		}
		config.DatabaseURL = "sqlite:" + filepath.Join(folder, databaseDefault)
	}
	return store.Open(config)
}

// prepared opens a store whose tables are up to date, for commands that do not
// serve.
func (s *settings) prepared(ctx context.Context) (*store.Store, error) {
	st, err := s.open(store.Config{})
	if err != nil {
		return nil, err
	}
	if _, err := st.Prepare(ctx); err != nil {
		st.Close()
		return nil, err
	}
	return st, nil
}

// dataFolder is where the default database lives, by the XDG base directory
// specification: $XDG_DATA_HOME/onhand, or ~/.local/share/onhand.
func dataFolder() (string, error) {
	if base := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(base) {
		return filepath.Join(base, "onhand"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no place for the database; name one with --database-url: %w", err)
	}
	return filepath.Join(home, ".local", "share", "onhand"), nil
}

// Run serves until the context ends, then stops in order: sockets told to close
// with a code, no new connections, requests under way finished, handshakes
// awaited, store closed.
func (c *serveCommand) Run(ctx context.Context, s *settings) error {
	if !guard.IsLoopback(c.ListenAddr) {
		return fmt.Errorf("listen on %s? without a way to check tokens every scope is granted, so only a loopback address such as 127.0.0.1:8080 may be listened on", c.ListenAddr)
	}
	if c.ReservationTTL < models.ReservationTTLMin || c.ReservationTTL > c.ReservationTTLMax {
		return fmt.Errorf("reservation-ttl %s must be between %s and reservation-ttl-max %s", c.ReservationTTL, models.ReservationTTLMin, c.ReservationTTLMax)
	}
	log := s.logger()
	slog.SetDefault(log)
	slog.SetLogLoggerLevel(slog.LevelDebug) // libraries that print, such as about handshakes that strangers get wrong
	st, err := s.open(store.Config{TTLDefault: c.ReservationTTL, TTLMax: c.ReservationTTLMax})
	if err != nil {
		return err
	}
	defer st.Close()
	listener, err := net.Listen("tcp", c.ListenAddr)
	if err != nil {
		return err
	}
	if err := prepare(ctx, st, s.DatabaseURL == "" || s.DatabaseURL == "sqlite::memory:", log); err != nil {
		_ = listener.Close()
		return err
	}
	if err := st.Start(); err != nil {
		_ = listener.Close()
		return err
	}
	closing := transport.NewClosing()
	server := bounded(c.routes(st, closing, log), log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Printf("Onhand is ready: http://%s (playground: http://%s/playground)\n", listener.Addr(), listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	closing.Close()
	drain, cancel := context.WithTimeout(context.Background(), drainTimeout)
	defer cancel()
	err = server.Shutdown(drain)
	handshakes, cancel := context.WithTimeout(drain, socketsTimeout)
	defer cancel()
	if !closing.Wait(handshakes) {
		log.Info("some sockets did not answer the close")
	}
	return err
}

// bounded is a server that no client keeps waiting.
func bounded(handler http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler: handler, ConnContext: transport.ConnContext,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}

// prepare brings the tables up to date, and loads the demo shop into a database
// that has nothing yet.
func prepare(ctx context.Context, st *store.Store, demo bool, log *slog.Logger) error {
	applied, err := st.Prepare(ctx)
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
	return st.Seed(ctx, openingRows(rows), locations, channels)
}

func (c *serveCommand) routes(st *store.Store, closing *transport.Closing, log *slog.Logger) http.Handler {
	api := graph.Handler(graph.HandlerConfig{
		Resolver: &graph.Resolver{Store: st, Log: log},
		Closing:  closing,
		Origins:  []string{"localhost:*", "127.0.0.1:*", "[[]::1]:*", "localhost", "127.0.0.1"},
	})
	pages := cors.New(cors.Options{
		AllowOriginFunc: guard.LoopbackOrigin, AllowedMethods: []string{"GET", "POST"}, AllowedHeaders: []string{"*"}, MaxAge: 600,
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	registry.MustRegister(st.Collectors()...)
	mux := http.NewServeMux()
	mux.Handle("/graphql", counted(registry, pages.Handler(guard.Local(api))))
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), Timeout: readyTimeout}))
	mux.Handle("/playground", gzhttp.GzipHandler(web.Playground("/graphql")))
	mux.Handle("/playground/", gzhttp.GzipHandler(web.Playground("/graphql")))
	mux.Handle("/", gzhttp.GzipHandler(web.Front()))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { report(w, http.StatusOK, map[string]any{"status": "ok"}) })
	mux.HandleFunc("GET /readyz", ready(st))
	return guard.LoopbackOnly(mux)
}

// counted counts requests, and how long those take that are answered at once.
// It does not wrap the writer, which streams take over.
func counted(registry *prometheus.Registry, next http.Handler) http.Handler {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "onhand_requests_total", Help: "GraphQL requests, by transport: get, post, sse, websocket or other."}, []string{"transport"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "onhand_request_seconds", Help: "How long GET and POST took to answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	}, []string{"transport"})
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "onhand_requests_open", Help: "GraphQL requests and streams under way."}, []string{"transport"})
	registry.MustRegister(requests, seconds, open)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		transport := transportOf(r)
		began := time.Now()
		requests.WithLabelValues(transport).Inc()
		open.WithLabelValues(transport).Inc()
		defer func() {
			open.WithLabelValues(transport).Dec()
			if transport == "get" || transport == "post" {
				seconds.WithLabelValues(transport).Observe(time.Since(began).Seconds())
			}
		}()
		next.ServeHTTP(w, r)
	})
}

func transportOf(r *http.Request) string {
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return "websocket"
	case strings.Contains(r.Header.Get("Accept"), "text/event-stream"):
		return "sse"
	case r.Method == http.MethodGet, r.Method == http.MethodPost:
		return strings.ToLower(r.Method)
	}
	return "other"
}

// ready tells a load balancer whether to send requests here, and people why
// not. Without Redis the service is degraded, not down.
func ready(st *store.Store) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		health := st.Health(ctx)
		status, code := "ready", http.StatusOK
		states := map[string]string{"database": "up", "redis": "up"}
		if health.Redis != nil {
			status, states["redis"] = "degraded", "down"
		}
		if health.Database != nil {
			status, code, states["database"] = "unavailable", http.StatusServiceUnavailable, "down"
		}
		report(w, code, map[string]any{"status": status, "dependencies": states})
	}
}

func report(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body)
}

type migrateCommand struct{}

// Run migrates and ends.
func (c *migrateCommand) Run(ctx context.Context, s *settings) error {
	st, err := s.open(store.Config{})
	if err != nil {
		return err
	}
	defer st.Close()
	applied, err := st.Prepare(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d migrations applied\n", applied)
	return nil
}

type versionCommand struct{}

// Run prints what the Go tool chain knows of this build.
func (versionCommand) Run() error {
	version := "(devel)"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		version = info.Main.Version
	}
	fmt.Println("onhand", version)
	return nil
}
