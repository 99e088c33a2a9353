package serving

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"onhand/graph/transport"
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
)

// Serve serves requests on a listener until the context ends. It closes the listener.
func Serve(ctx context.Context, listener net.Listener, st *store.Store, settings *Settings, log *slog.Logger) error {
	bearer, closeBearer, err := settings.bearer(ctx, log)
	if err != nil {
		_ = listener.Close()
		return err
	}
	defer closeBearer()
	closing := transport.NewClosing()
	server := newServer(routes(st, closing, log, bearer, settings.CompiledReads == off), log)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("stopping")
	return shutDown(server, closing, log)
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
