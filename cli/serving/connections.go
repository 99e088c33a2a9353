package serving

import (
	"cmp"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

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
