package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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

// TestF11CrashBeforePublish: a copy commits while it cannot reach Redis, and is killed before it could say so. The other
// carries what is in the outbox to Redis and to its subscribers.
func TestF11CrashBeforePublish(t *testing.T) {
	s := Open(t, Plan{Proxied: true})
	load := s.Load()
	doomed, other := s.Copies[0], s.Copies[1]
	for range 3 {
		load.More(200)
		before, err := other.Metrics()
		s.Must(err)
		doomed.Redis.Delay(20*time.Second, 0) // longer than it has to live: all it commits from now on stays untold
		load.More(100)
		doomed.Kill()
		doomed.Redis.Heal()
		s.await(repairLimit, "the other copy carries what was left", func() bool {
			m, err := other.Metrics()
			return err == nil && m["onhand_relay_carried_total"] > before["onhand_relay_carried_total"]
		})
		s.seenBy(other)
		doomed.Start()
	}
	load.More(200)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}
