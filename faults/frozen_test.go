package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// attemptMax is how long any request may take: the server's deadline for a write, 6 s, and what a busy machine adds.
const attemptMax = 7 * time.Second

// TestF08PostgresFrozen: Postgres hangs for 3 s and goes on, and then for 7 s, longer than any write waits. Each request
// is answered within its deadline, a write with success or a code to try again with; and what a frozen Postgres had
// been told happens once, although its client was told to ask again.
func TestF08PostgresFrozen(t *testing.T) {
	s := Open(t, Plan{PrivatePostgres: true})
	load := s.Load()
	for _, length := range []time.Duration{3 * time.Second, 7 * time.Second} {
		load.More(250)
		load.Slowest()
		s.Outage(func() {
			s.Must(s.Postgres.Freeze())
			load.During(length)
			s.Must(s.Postgres.Thaw())
		})
		load.More(250)
		slowest := load.Slowest()
		t.Logf("frozen for %s: the slowest request took %s", length, slowest)
		assert.Greater(t, slowest, length/2, "nobody noticed")
		assert.Less(t, slowest, attemptMax)
	}
	load.Stop()
	assert.Zero(t, load.Codes.Count("lost"), "a server that says nothing for %s", attemptLimit)
	assert.Positive(t, load.Codes.Count("UNAVAILABLE"))
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	s.Check()
}
