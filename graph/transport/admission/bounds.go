package admission

import (
	"context"
	"math/rand/v2"
	"time"
)

// StreamBounds are the bounds of streams. A field that is 0 has the default.
type StreamBounds struct {
	Streams              int // of the instance
	StreamsPerAddress    int // where ByAddress
	Operations           int // in flight, of one stream
	OperationsPerAddress int // in flight, of all streams of an address, where ByAddress
	MessageBytes         int // of one message of a WebSocket
	MessagesPerSecond    int // of one WebSocket, on average; five times as many at once
	Lifetime             time.Duration

	// ByAddress: the bounds per address are in use.
	ByAddress bool
	// Exempt reports whether the caller of a request has no bound per address; nil for
	// no caller. Gateways and storefront servers are exempt: all shoppers come through
	// them.
	Exempt func(ctx context.Context) bool
}

// DefaultStreamBounds returns the defaults.
func DefaultStreamBounds() StreamBounds {
	return StreamBounds{
		Streams: 20_000, StreamsPerAddress: 500, Operations: 256, OperationsPerAddress: 2_000,
		MessageBytes: 64 << 10, MessagesPerSecond: 100, Lifetime: time.Hour,
	}
}

// WithDefaults returns the bounds with the defaults for what they leave out.
func (b StreamBounds) WithDefaults() StreamBounds {
	usual := DefaultStreamBounds()
	for _, field := range []struct {
		value *int
		usual int
	}{
		{&b.Streams, usual.Streams}, {&b.StreamsPerAddress, usual.StreamsPerAddress},
		{&b.Operations, usual.Operations}, {&b.OperationsPerAddress, usual.OperationsPerAddress},
		{&b.MessageBytes, usual.MessageBytes}, {&b.MessagesPerSecond, usual.MessagesPerSecond},
	} {
		if *field.value == 0 {
			*field.value = field.usual
		}
	}
	if b.Lifetime == 0 {
		b.Lifetime = usual.Lifetime
	}
	return b
}

// BurstSeconds is for how many seconds' messages a WebSocket may send at once: a page
// that connects again subscribes to everything.
const BurstSeconds = 5

// Rate is how fast messages of one WebSocket are taken.
func (b StreamBounds) Rate() MessageRate {
	return MessageRate{PerSecond: b.MessagesPerSecond, Burst: BurstSeconds * b.MessagesPerSecond}
}

// lifetimeJitter is the part of a lifetime that is random, so that streams that began
// together do not end together.
const lifetimeJitter = 5 // a fifth

// Jittered returns how long a new stream lives.
func Jittered(lifetime time.Duration) time.Duration {
	return lifetime - rand.N(lifetime/lifetimeJitter+1)
}
