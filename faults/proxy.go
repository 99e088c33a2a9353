package faults

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// The ways through a proxy.
const (
	// Up is from the copy to its server.
	Up = "upstream"
	// Down is from the server back to the copy.
	Down = "downstream"
)

// Proxy is a wire between a copy and one of its servers, which a scenario can make slow, cut, or reset.
type Proxy struct {
	t                       testing.TB
	name, address, upstream string
	proxy                   *toxiproxy.Proxy
}

// newProxy listens on a port of its own and leads to upstream (host:port).
func newProxy(t testing.TB, name, upstream string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, name: name, address: freeAddress(t), upstream: upstream}
	p.lay()
	t.Cleanup(p.Cut)
	return p
}

// lay lays a new wire.
func (p *Proxy) lay() {
	p.t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, p.name, p.address, p.upstream)
	if err := p.proxy.Start(); err != nil {
		p.t.Fatalf("proxy %s: %v", p.name, err)
	}
}

// Address is where it listens, as host:port.
func (p *Proxy) Address() string { return p.address }

// Delay makes everything that goes one way (Up or Down) later by this much. What a side has sent before it hung up still
// arrives.
func (p *Proxy) Delay(way string, latency time.Duration) {
	p.t.Helper()
	p.add("latency", way, map[string]int64{"latency": latency.Milliseconds()})
}

// Drop swallows what goes one way (Up or Down), for connections that are there and for new ones, and closes none: the
// half-open partition, where one side goes on sending into nothing.
func (p *Proxy) Drop(way string) {
	p.t.Helper()
	p.add("timeout", way, map[string]int64{"timeout": 0})
}

// Reset cuts every connection, old and new, with a TCP reset.
func (p *Proxy) Reset() {
	p.t.Helper()
	p.add("reset_peer", Down, map[string]int64{"timeout": 0})
}

// Cut closes all connections and refuses new ones until Heal.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Heal closes all connections and lays a new wire on the same port. Taking a toxic off a connection that has something in
// it can wait for ever in toxiproxy; and what was lost on the old connections is lost.
func (p *Proxy) Heal() {
	p.t.Helper()
	p.Cut()
	p.lay()
}

func (p *Proxy) add(kind, way string, attributes map[string]int64) {
	p.t.Helper()
	raw, err := json.Marshal(map[string]any{"type": kind, "name": kind + "_" + way, "stream": way, "toxicity": 1, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(strings.NewReader(string(raw)))
	}
	if err != nil {
		p.t.Fatalf("proxy: %s: %v", fmt.Sprint(kind, " ", way), err)
	}
}
