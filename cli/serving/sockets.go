package serving

import (
	"cmp"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/graph/ratelimit"
	"onhand/graph/transport"
	"onhand/graph/transport/admission"
)

// socketSettings are the bounds of WebSockets and event streams.
type socketSettings struct {
	ConnectionsMax          int           `name:"connections-max" env:"CONNECTIONS_MAX" default:"20000" help:"Connections of HTTP, beside those that became WebSockets; others are closed at once."`
	StreamsMax              int           `name:"streams-max" env:"STREAMS_MAX" default:"20000" help:"WebSockets and event streams of one instance."`
	StreamsPerAddress       int           `name:"streams-per-address" env:"STREAMS_PER_ADDRESS" default:"500" help:"The same, of one address (the /64 network of IPv6), where tokens are configured."`
	StreamOperations        int           `name:"stream-operations" env:"STREAM_OPERATIONS" default:"256" help:"Operations in flight on one WebSocket or event stream."`
	OperationsPerAddress    int           `name:"operations-per-address" env:"OPERATIONS_PER_ADDRESS" default:"2000" help:"The same, of all streams of one address, where tokens are configured."`
	SocketMessageBytes      int           `name:"socket-message-bytes" env:"SOCKET_MESSAGE_BYTES" default:"65536" help:"The largest message of a WebSocket."`
	SocketMessagesPerSecond int           `name:"socket-messages-per-second" env:"SOCKET_MESSAGES_PER_SECOND" default:"100" help:"Messages of one WebSocket a second, on average; five times as many at once."`
	StreamLifetime          time.Duration `name:"stream-lifetime" env:"STREAM_LIFETIME" default:"1h" help:"How long a WebSocket or event stream lives at most; clients connect again."`
}

// lifetimeMin is the shortest lifetime of a stream: connecting again has a cost.
const lifetimeMin = time.Minute

// messageBytesMin is the smallest bound of a message: a document fits.
const messageBytesMin = 1 << 10

// check refuses bounds that can never work. 0 stands for the default.
func (s *socketSettings) check() error {
	switch {
	case min(s.ConnectionsMax, s.StreamsMax, s.StreamsPerAddress, s.StreamOperations, s.OperationsPerAddress, s.SocketMessagesPerSecond) < 0:
		return errors.New("the settings of connections, streams and sockets must not be negative; a large number stands for no bound")
	case s.SocketMessageBytes != 0 && s.SocketMessageBytes < messageBytesMin:
		return errors.New("socket-message-bytes must be at least 1024")
	case s.StreamLifetime != 0 && s.StreamLifetime < lifetimeMin:
		return errors.New("stream-lifetime must be at least 1m")
	}
	return nil
}

// bounds are what the GraphQL endpoint gets. With a limiter anonymous callers may call, so there
// are bounds per address, but for the callers that the limiter exempts.
func (s *socketSettings) bounds(limiter *ratelimit.Limiter) admission.StreamBounds {
	bounds := admission.StreamBounds{
		Streams: s.StreamsMax, StreamsPerAddress: s.StreamsPerAddress, Operations: s.StreamOperations, OperationsPerAddress: s.OperationsPerAddress,
		MessageBytes: s.SocketMessageBytes, MessagesPerSecond: s.SocketMessagesPerSecond, Lifetime: s.StreamLifetime,
	}
	if limiter != nil {
		bounds.ByAddress, bounds.Exempt = true, limiter.Exempt
	}
	return bounds
}

// streamMetrics are what transport counts of streams.
type streamMetrics struct {
	closing                  *transport.Closing
	refused, closed, delayed *prometheus.Desc
}

func newStreamMetrics(closing *transport.Closing) streamMetrics {
	return streamMetrics{
		closing: closing,
		refused: prometheus.NewDesc("onhand_streams_refused_total", "Refused WebSockets, event streams and operations on them, by the bound that they exceed.", []string{"bound"}, nil),
		closed:  prometheus.NewDesc("onhand_socket_closes_total", "Ends of WebSockets, by the server's close code; client where the client closed it.", []string{"code"}, nil),
		delayed: prometheus.NewDesc("onhand_socket_messages_delayed_total", "Messages of WebSockets that waited, because their client sends too many.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m streamMetrics) Describe(descriptions chan<- *prometheus.Desc) {
	descriptions <- m.refused
	descriptions <- m.closed
	descriptions <- m.delayed
}

// Collect implements prometheus.Collector.
func (m streamMetrics) Collect(metrics chan<- prometheus.Metric) {
	for bound, n := range m.closing.Refused() {
		metrics <- prometheus.MustNewConstMetric(m.refused, prometheus.CounterValue, float64(n), bound)
	}
	for code, n := range m.closing.Closes() {
		metrics <- prometheus.MustNewConstMetric(m.closed, prometheus.CounterValue, float64(n), code)
	}
	metrics <- prometheus.MustNewConstMetric(m.delayed, prometheus.CounterValue, float64(m.closing.Delayed()))
}

// connections bounds the open connections of HTTP. One that became a WebSocket counts as a
// stream instead. A client may keep its connection for the time limits of the server, and
// each takes a goroutine and two buffers.
type connections struct {
	max     int64
	open    atomic.Int64
	refused atomic.Uint64
}

// connectionsMaxDefault is the default of CONNECTIONS_MAX.
const connectionsMaxDefault = 20_000

// newConnections bounds connections; 0 stands for the default.
func newConnections(bound int) *connections {
	return &connections{max: int64(cmp.Or(bound, connectionsMaxDefault))}
}

// watch is for http.Server.ConnState. It closes a new connection above the bound.
func (c *connections) watch(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		if c.open.Add(1) > c.max {
			c.refused.Add(1)
			_ = conn.Close() // net/http notices it
		}
	case http.StateHijacked, http.StateClosed:
		c.open.Add(-1)
	}
}

// collectors are the metrics of connections.
func (c *connections) collectors() []prometheus.Collector {
	return []prometheus.Collector{
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "onhand_connections_open", Help: "Connections of HTTP, beside those that became WebSockets."}, func() float64 { return float64(c.open.Load()) }),
		prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "onhand_connections_refused_total", Help: "Connections that were closed at once, because too many were open."}, func() float64 { return float64(c.refused.Load()) }),
	}
}
