package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics answers a scrape.
func Metrics(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: scrapeLog{log}, Timeout: checkTimeout, EnableOpenMetrics: true})
}

// scrapeLog logs what goes wrong with a scrape of the metrics. A scraper that goes
// away is no warning.
type scrapeLog struct{ log *slog.Logger }

// Println implements promhttp.Logger.
func (l scrapeLog) Println(values ...any) {
	level := slog.LevelWarn
	for _, value := range values {
		if err, ok := value.(error); ok && clientHasGone(err) {
			level = slog.LevelDebug
		}
	}
	l.log.Log(context.Background(), level, strings.TrimSpace(fmt.Sprintln(values...)))
}

// clientHasGone reports whether writing failed because the client closed the connection.
func clientHasGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, net.ErrClosed)
}
