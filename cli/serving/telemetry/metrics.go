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
	var counted [len(transportLabels)]countedRequests // to find a metric by its label takes longer than to count
	for kind, label := range transportLabels {
		counted[kind] = countedRequests{requests: requests.WithLabelValues(label), open: open.WithLabelValues(label)}
	}
	counted[byGet].seconds, counted[byPost].seconds = seconds.WithLabelValues(transportLabels[byGet]), seconds.WithLabelValues(transportLabels[byPost])
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := transportOf(r)
		own := &counted[kind]
		own.requests.Inc()
		if kind == byWebSocket {
			next.ServeHTTP(w, r)
			return
		}
		began := time.Since(clockStart)
		own.open.Inc()
		defer func() {
			own.open.Dec()
			if own.seconds != nil && !isStream(w.Header()) {
				own.seconds.Observe((time.Since(clockStart) - began).Seconds())
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// clockStart is what requests are timed from: time.Since reads one clock, time.Now two.
var clockStart = time.Now()

// isStream reports whether an answer is an event stream.
func isStream(answer http.Header) bool {
	kind := answer["Content-Type"]
	return len(kind) > 0 && kind[0] == "text/event-stream"
}

// countedRequests are the metrics of one transport.
type countedRequests struct {
	requests prometheus.Counter
	open     prometheus.Gauge
	seconds  prometheus.Observer // nil where requests are not timed
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

// transportKind is how a request came, for the metrics.
type transportKind int

const (
	byGet transportKind = iota
	byPost
	bySSE
	byWebSocket
	byOther
)

// transportLabels are the kinds as values of the label transport.
var transportLabels = [...]string{byGet: "get", byPost: "post", bySSE: "sse", byWebSocket: "websocket", byOther: "other"}

// transportOf is the kind of a request. The server has the names of headers in canonical form.
func transportOf(r *http.Request) transportKind {
	switch upgrade := r.Header["Upgrade"]; {
	case len(upgrade) > 0 && strings.EqualFold(upgrade[0], "websocket"):
		return byWebSocket
	case transport.PrefersEvents(r):
		return bySSE
	case r.Method == http.MethodGet:
		return byGet
	case r.Method == http.MethodPost:
		return byPost
	}
	return byOther
}
