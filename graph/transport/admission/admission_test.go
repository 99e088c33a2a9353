package admission

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/graph/guard"
)

// from returns the context of a request from an address.
func from(t *testing.T, address string) (ctx context.Context) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	r.RemoteAddr = address
	guard.WithAddress(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { ctx = r.Context() }), guard.Proxies{}).ServeHTTP(nil, r)
	return ctx
}

// enter admits a stream, which the test requires.
func enter(t *testing.T, g *Gate, ctx context.Context) *Pass {
	t.Helper()
	pass, refusal := g.Enter(ctx)
	require.Nil(t, refusal)
	return pass
}

// refused requires that a stream is refused with this status.
func refused(t *testing.T, g *Gate, ctx context.Context, status int) {
	t.Helper()
	pass, refusal := g.Enter(ctx)
	assert.Nil(t, pass)
	require.NotNil(t, refusal)
	assert.Equal(t, status, refusal.Status)
	after := refusal.RetryAfter()
	assert.True(t, after >= 1 && after <= retryAfterMax, after)
}

// TestGateBoundsTheInstance: streams above the bound are refused until one leaves.
func TestGateBoundsTheInstance(t *testing.T) {
	t.Parallel()
	counts := NewEventCounts(RefusedStream)
	g := NewGate(StreamBounds{Streams: 2, Operations: 2}, counts)
	one := enter(t, g, t.Context())
	enter(t, g, t.Context())
	refused(t, g, t.Context(), http.StatusServiceUnavailable)
	assert.Nil(t, one.Begin(1))
	assert.NotNil(t, one.Begin(2))
	one.Leave()
	one.Leave() // counts once
	enter(t, g, t.Context())
	refused(t, g, t.Context(), http.StatusServiceUnavailable)
	assert.EqualValues(t, 3, counts.Counts()[RefusedStream])
}

// TestGateBoundsAnAddress: an address has bounds of its own, all addresses of an IPv6
// network together, and is forgotten when its streams have left.
func TestGateBoundsAnAddress(t *testing.T) {
	t.Parallel()
	g := NewGate(StreamBounds{StreamsPerAddress: 2, OperationsPerAddress: 3, ByAddress: true}, NewEventCounts(""))
	one := enter(t, g, from(t, "192.0.2.1:1000"))
	two := enter(t, g, from(t, "192.0.2.1:2000"))
	refused(t, g, from(t, "192.0.2.1:3000"), http.StatusTooManyRequests)
	other := enter(t, g, from(t, "192.0.2.2:1000"))
	enter(t, g, from(t, "[2001:db8::1]:1000")).Leave()
	enter(t, g, from(t, "[2001:db8::1]:1000"))
	enter(t, g, from(t, "[2001:db8::2]:1000"))
	refused(t, g, from(t, "[2001:db8::3]:1000"), http.StatusTooManyRequests)

	for _, pass := range []*Pass{one, one, two} {
		assert.Nil(t, pass.Begin(0))
	}
	assert.NotNil(t, one.Begin(0))
	assert.Nil(t, other.Begin(0))
	two.End()
	assert.Nil(t, one.Begin(0))
	assert.NotNil(t, two.Begin(0))
	one.Leave() // with its operations
	for range 3 {
		assert.Nil(t, two.Begin(0))
	}
	one.End() // after it has left
	assert.NotNil(t, two.Begin(0))
	two.Leave()
	other.Leave()
	assert.Len(t, g.addresses, 1)
	assert.Nil(t, one.Begin(0), "of a stream that has left")
	assert.Len(t, g.addresses, 1)
}

// TestGateWithoutAddresses: without bounds by address, and for an exempt caller, only
// the instance's bound counts.
func TestGateWithoutAddresses(t *testing.T) {
	t.Parallel()
	for name, bounds := range map[string]StreamBounds{
		"no bound": {Streams: 4, StreamsPerAddress: 1, OperationsPerAddress: 1},
		"exempt":   {Streams: 4, StreamsPerAddress: 1, OperationsPerAddress: 1, ByAddress: true, Exempt: func(context.Context) bool { return true }},
	} {
		g := NewGate(bounds, NewEventCounts(""))
		for range 4 {
			pass := enter(t, g, from(t, "192.0.2.1:1000"))
			assert.Nil(t, pass.Begin(0), name)
			assert.Nil(t, pass.Begin(1), name)
			pass.End()
		}
		assert.Empty(t, g.addresses, name)
		refused(t, g, from(t, "192.0.2.1:1000"), http.StatusServiceUnavailable)
	}
}

// TestJittered: streams that began together end at different times, within the last
// fifth of the lifetime.
func TestJittered(t *testing.T) {
	t.Parallel()
	shortest, longest := time.Hour, time.Duration(0)
	for range 1000 {
		lives := Jittered(time.Hour)
		shortest, longest = min(shortest, lives), max(longest, lives)
	}
	assert.GreaterOrEqual(t, shortest, 48*time.Minute)
	assert.LessOrEqual(t, longest, time.Hour)
	assert.Greater(t, longest-shortest, 10*time.Minute)
}

// TestMeter: a burst passes at once, more waits so that the average is kept, and a pause
// ends the excess.
func TestMeter(t *testing.T) {
	t.Parallel()
	rate := MessageRate{PerSecond: 10, Burst: 3}
	var m Meter
	at := time.Hour
	for i := range 3 {
		wait, _ := m.Take(at, rate)
		assert.Zero(t, wait, i)
	}
	for i := range 5 { // a client that sends as fast as it may
		wait, excess := m.Take(at, rate)
		assert.Equal(t, 100*time.Millisecond, wait, i)
		assert.Equal(t, time.Duration(i)*100*time.Millisecond, excess, i)
		at += wait
	}
	at += 100 * time.Millisecond
	wait, excess := m.Take(at, rate)
	assert.Zero(t, wait)
	assert.Zero(t, excess)
	wait, excess = m.Take(at, rate)
	assert.Positive(t, wait)
	assert.Zero(t, excess, "it begins again")
	at += time.Second
	for i := range 3 {
		wait, _ := m.Take(at, rate)
		assert.Zero(t, wait, i)
	}
}

// TestEventCounts: labels are a fixed set, so that clients cannot make metrics.
func TestEventCounts(t *testing.T) {
	t.Parallel()
	counts := NewEventCounts("client", "1012")
	counts.Count("1012")
	counts.Count("4999")
	counts.Count("4998")
	assert.Equal(t, map[string]uint64{"1012": 1, "client": 2}, counts.Counts())
}
