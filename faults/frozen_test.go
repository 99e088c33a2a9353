package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
)

// answerLimit is how long any request may take: the server's deadline for a write, 6 s, and what a busy machine adds.
const answerLimit = 7 * time.Second

// TestF08PostgresFrozen: Postgres hangs for 3 s and resumes, and then for 7 s, longer than any write waits. Each request
// is answered within its deadline, a write with success or with a code to try again with. What a frozen Postgres had
// received happens once, although the client got a code to try again with.
func TestF08PostgresFrozen(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true})
	l := s.Load()
	for _, length := range []time.Duration{3 * time.Second, 7 * time.Second} {
		l.More(250)
		l.Slowest()
		s.Outage(func() {
			s.Must(s.Postgres.Freeze())
			l.During(length)
			s.Must(s.Postgres.Thaw())
		})
		l.More(250)
		slowest := l.Slowest()
		t.Logf("frozen for %s: the slowest request took %s", length, slowest)
		assert.Greater(t, slowest, length/2, "the fault had no effect")
		assert.Less(t, slowest, answerLimit)
	}
	l.Stop()
	assert.Zero(t, l.Attempts.Count(load.NoAnswer), "the server did not answer for %s", load.AttemptLimit)
	assert.Positive(t, l.Attempts.Count(load.Unavailable))
	l.CheckRetryable(t)
	s.Check()
}
