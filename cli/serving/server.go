package serving

import (
	"context"
	"crypto/tls"
	"errors"
	stdlog "log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"onhand/graph/transport"
	"onhand/graph/viewer"
	"onhand/store"
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

	// Of HTTP/2. A stream is a request in flight.
	streamsMax   = 250
	pingInterval = 30 * time.Second // of a connection that sends nothing
	pongTimeout  = 15 * time.Second
	writeTimeout = 10 * time.Second // for any byte of a connection
)

// Serve serves requests on a listener until the context ends. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, st *store.Store, settings *Settings, log *slog.Logger) error {
	sites, err := settings.sites(!settings.TokensConfigured())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	if !settings.TokensConfigured() && len(settings.AllowedHosts)+len(settings.AllowedOrigins) > 0 {
		log.Warn("callers under the allowed hosts and pages of the allowed origins have every scope, because no bearer tokens are configured",
			"hosts", settings.AllowedHosts, "origins", settings.AllowedOrigins)
	}
	limiter, stopLimiter := settings.startLimiter(ctx, settings.TokensConfigured(), st, log)
	defer stopLimiter()
	bearer, closeBearer, err := settings.bearer(ctx, limiter, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closeBearer()
	documents, closeTrusted, err := settings.openTrusted(ctx, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer closeTrusted()
	registry := newRegistry(st)
	stopAdmin, err := settings.serveAdmin(ctx, st, registry, log)
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	defer stopAdmin()
	closing := transport.NewClosing()
	open, stopping := newConnections(settings.Sockets.ConnectionsMax), &atomic.Bool{}
	handler := routes(st, closing, log, routeConfig{
		sites: sites, bearer: bearer, proxies: settings.proxies(), limiter: limiter, interpreted: settings.CompiledReads == off,
		streams: settings.Sockets.bounds(limiter), open: open, registry: registry,
		documents: settings.DocumentSettings, trusted: documents, traces: settings.Traces,
		quantityCap: viewer.QuantityCap(settings.QuantityCap), version: settings.Version, shoppers: settings.ShopperCount, stopping: stopping,
	})
	defer settings.startShoppers(ctx, handler, listener.Addr().String(), log)()
	server := newServer(handler, settings.tlsSettings.config(log), log)
	server.ConnState = open.watch
	failed := make(chan error, 1)
	go func() { failed <- serve(server, listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping", "delay", settings.ShutdownDelay)
	stopping.Store(true)
	select {
	case err := <-failed:
		return err
	case <-time.After(settings.ShutdownDelay):
	}
	return shutDown(server, closing, log)
}

// closeWhen has every answer end its connection once the server is stopping, so that clients with open connections
// go to other instances before the listener closes.
func closeWhen(stopping *atomic.Bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if stopping.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// newServer is an HTTP server with a bound on every wait for a client. With certificates
// it speaks TLS. It speaks HTTP/2 too: with TLS as the client chooses, and without TLS
// (h2c) for proxies that begin with it.
func newServer(handler http.Handler, certificates *tls.Config, log *slog.Logger) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, ConnContext: connContext, TLSConfig: certificates, Protocols: protocols,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: bodyTimeout, WriteTimeout: answerTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: headerBytesMax,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: streamsMax, SendPingTimeout: pingInterval, PingTimeout: pongTimeout, WriteByteTimeout: writeTimeout},
		ErrorLog: stdlog.New(serverLog{log}, "", 0),
	}
}

// serve accepts connections until the server is shut down.
func serve(server *http.Server, listener net.Listener) error {
	if server.TLSConfig != nil {
		return server.ServeTLS(listener, "", "")
	}
	return server.Serve(listener)
}

// connContext keeps a request's connection, below its TLS.
func connContext(ctx context.Context, conn net.Conn) context.Context {
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn()
	}
	return transport.ConnContext(ctx, conn)
}

// serverLog logs what net/http prints. Any client can cause what begins a connection, so
// that is no warning.
type serverLog struct{ log *slog.Logger }

// Write implements io.Writer.
func (l serverLog) Write(line []byte) (int, error) {
	text, level := strings.TrimSpace(string(line)), slog.LevelWarn
	if strings.HasPrefix(text, "http: TLS handshake error") || strings.HasPrefix(text, "http2:") {
		level = slog.LevelDebug
	}
	l.log.Log(context.Background(), level, text)
	return len(line), nil
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
