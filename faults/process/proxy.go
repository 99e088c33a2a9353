package process

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

// Direction is one of the two directions through a proxy.
type Direction string

// The directions, by the names of toxiproxy.
const (
	// Up is from the instance to its server.
	Up Direction = "upstream"
	// Down is from the server back to the instance.
	Down Direction = "downstream"
)

// Proxy forwards the connections between an instance and one of its servers. A scenario can slow it, cut it, or reset it.
type Proxy struct {
	t                       testing.TB
	name, address, upstream string
	proxy                   *toxiproxy.Proxy
}

// NewProxy listens on a port of its own and forwards to upstream (host:port).
func NewProxy(t testing.TB, name, upstream string) *Proxy {
	t.Helper()
	p := &Proxy{t: t, name: name, address: freeAddress(t), upstream: upstream}
	p.listen()
	t.Cleanup(p.Cut)
	return p
}

func (p *Proxy) listen() {
	p.t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
	p.proxy = toxiproxy.NewProxy(server, p.name, p.address, p.upstream)
	if err := p.proxy.Start(); err != nil {
		p.t.Fatalf("proxy %s: %v", p.name, err)
	}
}

// Address is where it listens, as host:port.
func (p *Proxy) Address() string { return p.address }

// Delay delays everything in one direction. What a side sent before it closed the connection still arrives.
func (p *Proxy) Delay(d Direction, latency time.Duration) {
	p.t.Helper()
	p.add("latency", d, map[string]int64{"latency": latency.Milliseconds()})
}

// Drop swallows everything in one direction, on open connections and on new ones, and closes none: the half-open
// partition, in which one side sends and nothing arrives.
func (p *Proxy) Drop(d Direction) {
	p.t.Helper()
	p.add("timeout", d, map[string]int64{"timeout": 0})
}

// Reset ends every connection, old and new, with a TCP reset.
func (p *Proxy) Reset() {
	p.t.Helper()
	p.add("reset_peer", Down, map[string]int64{"timeout": 0})
}

// Cut closes all connections and refuses new ones until Heal.
func (p *Proxy) Cut() { p.proxy.Stop() }

// Heal closes all connections and listens again on the same port. Removing a toxic from a connection with data in it can
// wait for ever in toxiproxy; and what was lost on the old connections is lost.
func (p *Proxy) Heal() {
	p.t.Helper()
	p.Cut()
	p.listen()
}

func (p *Proxy) add(kind string, d Direction, attributes map[string]int64) {
	p.t.Helper()
	raw, err := json.Marshal(map[string]any{"type": kind, "name": fmt.Sprint(kind, "_", d), "stream": d, "toxicity": 1, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(strings.NewReader(string(raw)))
	}
	if err != nil {
		p.t.Fatalf("proxy: %s %s: %v", kind, d, err)
	}
}
