package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// TestF07PostgresKilled: Postgres is shut down at once three times and killed once, under load. Customers are told to
// try again, and a COMMIT whose answer was lost is settled by its key: each operation happens once.
func TestF07PostgresKilled(t *testing.T) {
	s := Open(t, Plan{Short: true, PrivatePostgres: true})
	load := s.Load()
	for _, fault := range []func() error{s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Kill} {
		load.More(250)
		s.Outage(func() { s.Must(fault(), s.Postgres.Start()) })
	}
	load.More(250)
	load.Stop()
	assert.Positive(t, load.Codes.Count("UNAVAILABLE"), "nobody noticed")
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	s.Check()
}

const (
	// ambiguousRounds bounds the search for COMMITs whose answer is lost: a round meets one about every fourth time.
	ambiguousRounds = 80
	// ambiguousMin is how many there must be.
	ambiguousMin = 6
	// deafFor is how long a copy hears nothing from its database.
	deafFor = 300 * time.Millisecond
)

// TestF07CommitAnswerLost: what Postgres answers no longer reaches one copy, so that some of its COMMITs are carried out
// and it cannot know. Customers ask again with the same keys, there or at the other copy, and get the first answer.
func TestF07CommitAnswerLost(t *testing.T) {
	s := Open(t, Plan{Proxied: true})
	load := s.Load()
	rounds := 0
	for ; s.replays() < ambiguousMin && rounds < ambiguousRounds; rounds++ {
		load.More(60)
		s.Outage(func() {
			s.Copies[0].Postgres.Drop(Down)
			load.During(deafFor)
			s.Copies[0].Postgres.Heal()
		})
	}
	load.More(200)
	load.Stop()
	t.Logf("%.0f writes were found to have been carried out before, in %d rounds", s.replays(), rounds)
	assert.GreaterOrEqual(t, s.replays(), float64(ambiguousMin))
	assert.Empty(t, load.Codes.unexpected())
	s.Check()
}

// replays is how many writes the copies have found done when their key came again.
func (s *Scene) replays() (sum float64) {
	for _, c := range s.Copies {
		m, err := c.Metrics()
		s.Must(err)
		for name, value := range m {
			if strings.HasPrefix(name, "onhand_writes_total{") && strings.Contains(name, `outcome="replayed"`) {
				sum += value
			}
		}
	}
	return sum
}
