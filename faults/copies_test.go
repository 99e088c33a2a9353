package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestF10CopyKilled: one copy is killed under load, with a batch in its hands and holds of its customers running out.
// They go on at the other; holds end in time, and each cart was held whole or not at all.
func TestF10CopyKilled(t *testing.T) {
	s := Open(t, Plan{Short: true, Walkaways: true})
	load := s.Load()
	load.More(500)
	s.Copies[0].Kill()
	load.More(500) // the other has it all, the ends of the first one's holds too
	s.Copies[0].Start()
	load.More(300)
	load.Stop()
	assert.Positive(t, load.Codes.Count("lost"), "nobody noticed")
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}

// untold is longer than a copy has to live that cannot reach Redis: nothing it commits meanwhile is told by itself.
const untold = 20 * time.Second

// TestF11CrashBeforePublish: a copy commits while it cannot reach Redis, and is killed before it could say so: under load,
// and then in a silence in which no later write makes up for it. The other carries what is in the outbox to Redis and to
// its subscribers.
func TestF11CrashBeforePublish(t *testing.T) {
	s := Open(t, Plan{Proxied: true})
	load := s.Load()
	doomed, other := s.Copies[0], s.Copies[1]
	for range 3 {
		load.More(200)
		doomed.Redis.Delay(Up, untold)
		load.More(100)
		doomed.Kill()
		doomed.Redis.Heal()
		s.seenBy(other)
		doomed.Start()
	}
	load.More(200)
	load.Stop()
	require.Empty(t, s.awaitCache(cacheLimit))
	doomed.Redis.Delay(Up, untold)
	last := s.Customer(0)
	for _, product := range s.products {
		last.hold(map[string]int{product: 1}, ttlLong)
	}
	doomed.Kill()
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}
