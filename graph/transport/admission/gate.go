package admission

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"

	"onhand/graph/guard"
	"onhand/models"
)

// The bounds by which an Excess is counted.
const (
	RefusedStream     = "streams"
	RefusedByAddress  = "streams_of_address"
	RefusedOperation  = "operations"
	RefusedOperations = "operations_of_address"
	RefusedToken      = "tokens"
)

// Excess is the answer to what exceeds a bound.
type Excess struct {
	Status  int // of HTTP
	Code    models.Code
	Message string
}

// retryAfterMax is up to how many seconds a refused client should wait.
const retryAfterMax = 10

// RetryAfter is a random number of seconds, so that refused clients do not return
// together.
func (Excess) RetryAfter() int { return 1 + rand.N(retryAfterMax) }

func limited(format string, args ...any) *Excess {
	return &Excess{http.StatusTooManyRequests, models.CodeRateLimited, fmt.Sprintf(format, args...)}
}

// Gate counts the open streams of an instance. Make it with NewGate.
type Gate struct {
	bounds  StreamBounds
	refused *EventCounts

	mu        sync.Mutex
	streams   int
	addresses map[string]*addressCounts
}

// addressCounts are what one address has open. The Gate's mu protects it.
type addressCounts struct {
	address             string
	streams, operations int
}

// NewGate returns a gate without streams. It counts refusals by their bound.
func NewGate(bounds StreamBounds, refused *EventCounts) *Gate {
	return &Gate{bounds: bounds.WithDefaults(), refused: refused, addresses: map[string]*addressCounts{}}
}

// Enter admits a stream of the request with this context. The pass of an admitted stream
// must Leave; that of a refused one is nil.
func (g *Gate) Enter(ctx context.Context) (*Pass, *Excess) {
	address := ""
	if g.bounds.ByAddress && (g.bounds.Exempt == nil || !g.bounds.Exempt(ctx)) {
		address = guard.Address(ctx)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	counts := g.addresses[address]
	switch {
	case g.streams >= g.bounds.Streams:
		g.refused.Count(RefusedStream)
		return nil, &Excess{http.StatusServiceUnavailable, models.CodeUnavailable, "too many WebSockets and event streams are open"}
	case counts != nil && counts.streams >= g.bounds.StreamsPerAddress:
		g.refused.Count(RefusedByAddress)
		return nil, limited("too many WebSockets and event streams of one address; at most %d", g.bounds.StreamsPerAddress)
	}
	g.streams++
	if address == "" {
		return &Pass{gate: g}, nil
	}
	if counts == nil {
		counts = &addressCounts{address: address}
		g.addresses[address] = counts
	}
	counts.streams++
	return &Pass{gate: g, counts: counts}, nil
}

// Pass is the place of one stream. Its methods may be called by several goroutines.
type Pass struct {
	gate       *Gate
	counts     *addressCounts // nil where the address has no bounds
	operations int            // of this stream; the gate's mu protects it
	left       bool           // the gate's mu protects it
}

// Begin admits an operation of the stream, which has so many in flight. An admitted one
// must End, before the stream leaves or after.
func (p *Pass) Begin(inFlight int) *Excess {
	g := p.gate
	if inFlight >= g.bounds.Operations {
		g.refused.Count(RefusedOperation)
		return limited("too many operations on one connection; at most %d", g.bounds.Operations)
	}
	if p.counts == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.counts.operations >= g.bounds.OperationsPerAddress {
		g.refused.Count(RefusedOperations)
		return limited("too many operations of one address; at most %d", g.bounds.OperationsPerAddress)
	}
	if !p.left {
		p.counts.operations++
		p.operations++
	}
	return nil
}

// End gives an operation back. After Leave it does nothing.
func (p *Pass) End() {
	if p.counts == nil {
		return
	}
	p.gate.mu.Lock()
	defer p.gate.mu.Unlock()
	if p.operations > 0 {
		p.operations--
		p.counts.operations--
	}
}

// Leave gives back the stream and its operations. Only the first call counts.
func (p *Pass) Leave() {
	g := p.gate
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.left {
		return
	}
	p.left = true
	g.streams--
	c := p.counts
	if c == nil {
		return
	}
	c.streams--
	c.operations -= p.operations
	p.operations = 0
	if c.streams > 0 {
		return
	}
	delete(g.addresses, c.address)
	if len(g.addresses) == 0 {
		g.addresses = map[string]*addressCounts{} // a map never shrinks
	}
}
