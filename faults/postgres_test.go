package faults

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
	"onhand/faults/process"
)

// TestF07PostgresKilled: Postgres is shut down at once three times and killed once, under load. Customers get a code to try
// again, and a COMMIT whose answer was lost is settled by its key: each operation happens once.
func TestF07PostgresKilled(t *testing.T) {
	s := Open(t, Setup{Short: true, PrivatePostgres: true})
	l := s.Load()
	for _, fault := range []func() error{s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Abort, s.Postgres.Kill} {
		l.More(250)
		s.Outage(func() { s.Must(fault(), s.Postgres.Start()) })
	}
	l.More(250)
	l.Stop()
	assert.Positive(t, l.Attempts.Count(load.Unavailable), "the fault had no effect")
	l.CheckRetryable(t)
	s.Check()
}

const (
	// lostCommitRounds bounds the search for COMMITs whose answer is lost: about every fourth round has one.
	lostCommitRounds = 80
	// lostCommitsMin is how many there must be.
	lostCommitsMin = 6
	// deafFor is how long an instance receives nothing from its database.
	deafFor = 300 * time.Millisecond
)

// TestF07CommitAnswerLost: the answers of Postgres no longer reach one instance, so that some of its COMMITs are executed
// and it cannot know. Customers repeat the same keys, there or at the other instance, and get the first answer.
func TestF07CommitAnswerLost(t *testing.T) {
	s := Open(t, Setup{Proxied: true})
	l := s.Load()
	rounds := 0
	for ; s.replays() < lostCommitsMin && rounds < lostCommitRounds; rounds++ {
		l.More(60)
		s.Outage(func() {
			s.Instances[0].Postgres.Drop(process.Down)
			l.During(deafFor)
			s.Instances[0].Postgres.Heal()
		})
	}
	l.More(200)
	l.Stop()
	t.Logf("%.0f writes were found to have been executed before, in %d rounds", s.replays(), rounds)
	assert.GreaterOrEqual(t, s.replays(), float64(lostCommitsMin))
	l.CheckRetryable(t)
	s.Check()
}

// replays is how many writes the instances have found executed when their key was repeated.
func (s *Shop) replays() (sum float64) {
	for _, m := range s.metrics() {
		for name, value := range m {
			if strings.HasPrefix(name, "onhand_writes_total{") && strings.Contains(name, `outcome="replayed"`) {
				sum += value
			}
		}
	}
	return sum
}
