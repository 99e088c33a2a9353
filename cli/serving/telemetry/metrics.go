package telemetry

import (
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/graph/transport"
)

// CountRequests counts requests by transport, and times GET and POST. It does
// not wrap the ResponseWriter, because streams hijack it. The handler of a WebSocket
// returns after the handshake, so closing counts those.
func CountRequests(registry *prometheus.Registry, closing *transport.Closing, next http.Handler) http.Handler {
	if !Instrumented {
		return next
	}
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "onhand_requests_total", Help: "GraphQL requests, by transport: get, post, sse (the client wants events only), websocket or other."}, []string{"transport"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "onhand_request_duration_seconds", Help: "Time until a GET or POST was answered.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
	}, []string{"transport"})
	open := openRequests{prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "onhand_requests_open", Help: "GraphQL requests and streams in flight."}, []string{"transport"}), closing}
	registry.MustRegister(requests, seconds, open)
	counted := map[string]countedRequests{} // to find a metric by its label takes longer than to count
	for _, label := range []string{"get", "post", "sse", "websocket", "other"} {
		counted[label] = countedRequests{requests: requests.WithLabelValues(label), open: open.WithLabelValues(label)}
	}
	timed := map[string]prometheus.Observer{"get": seconds.WithLabelValues("get"), "post": seconds.WithLabelValues("post")}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		transport := transportOf(r)
		began := time.Now()
		own := counted[transport]
		own.requests.Inc()
		if transport == "websocket" {
			next.ServeHTTP(w, r)
			return
		}
		own.open.Inc()
		defer func() {
			own.open.Dec()
			if isStream := w.Header().Get("Content-Type") == "text/event-stream"; !isStream && timed[transport] != nil {
				timed[transport].Observe(time.Since(began).Seconds())
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// countedRequests are the metrics of one transport.
type countedRequests struct {
	requests prometheus.Counter
	open     prometheus.Gauge
}

// openRequests is the gauge of requests in flight. The number of WebSockets is closing's.
type openRequests struct {
	*prometheus.GaugeVec
	closing *transport.Closing
}

// Collect implements prometheus.Collector.
func (o openRequests) Collect(metrics chan<- prometheus.Metric) {
	o.WithLabelValues("websocket").Set(float64(o.closing.Sockets()))
	o.GaugeVec.Collect(metrics)
}

// transportOf is the transport label of a request.
func transportOf(r *http.Request) string {
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		return "websocket"
	case transport.PrefersEvents(r):
		return "sse"
	case r.Method == http.MethodGet:
		return "get"
	case r.Method == http.MethodPost:
		return "post"
	}
	return "other"
}
