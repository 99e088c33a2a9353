package faults

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	// deadPrimaryLimit is how soon after the promotion writes succeed when the old primary refuses connections;
	// hungPrimaryLimit, when it hangs, and each connection to it must time out first.
	deadPrimaryLimit, hungPrimaryLimit = 3 * time.Second, 10 * time.Second
)

// TestF09StandbyPromoted: the primary dies, or hangs, under load, and its synchronous standby becomes the primary. The
// instances find it by their URL, which names both. Nothing that was acknowledged is lost.
func TestF09StandbyPromoted(t *testing.T) {
	for name, fault := range map[string]struct {
		end   func(*Shop) error
		limit time.Duration
	}{
		"killed": {func(s *Shop) error { return s.Postgres.Kill() }, deadPrimaryLimit},
		"hangs":  {func(s *Shop) error { return s.Postgres.Freeze() }, hungPrimaryLimit},
	} {
		t.Run(name, func(t *testing.T) {
			s := Open(t, Setup{PrivatePostgres: true, Standby: true})
			l := s.Load()
			l.More(400)
			ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
			defer cancel()
			s.Outage(func() {
				s.Must(fault.end(s))
				s.Must(s.Standby.Promote(ctx))
				promoted, before := time.Now(), s.acknowledged()
				s.Await(fault.limit, "writes succeed", func() bool { return s.acknowledged() > before })
				t.Logf("writes succeeded %s after the promotion", time.Since(promoted).Round(time.Millisecond))
			})
			s.Must(s.Postgres.Kill()) // it must not believe that it still is the primary
			l.More(300)
			l.Stop()
			l.CheckRetryable(t)
			s.Check()
		})
	}
}

// TestF09StandbyAwayFirst: the standby is away for longer than a write waits, and then the primary dies. No write was
// acknowledged that only the primary had, not even when it was repeated.
func TestF09StandbyAwayFirst(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, Standby: true, Unreplicated: true})
	l := s.Load()
	l.More(400)
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	s.Outage(func() {
		s.Must(s.Standby.Stop())
		l.During(answerLimit) // what was in flight has ended, and was repeated
		before := s.acknowledged()
		l.During(2 * time.Second)
		assert.Equal(t, before, s.acknowledged())
		s.Must(s.Postgres.Kill(), s.Standby.Start(), s.Standby.Promote(ctx))
	})
	l.More(300)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// acknowledged is how many writes with a key were answered.
func (s *Shop) acknowledged() int { return len(s.Target.History.Acknowledged()) }
