package faults

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	// deadPrimaryLimit is how soon after the promotion writes go on when the old primary refuses; hungPrimaryLimit, when
	// it hangs, and each connection to it must be given up first.
	deadPrimaryLimit, hungPrimaryLimit = 3 * time.Second, 10 * time.Second
)

// TestF09StandbyPromoted: the primary dies, or hangs, under load, and its synchronous standby becomes the primary. The
// copies find it by their URL, which names both; nothing that was acknowledged is lost.
func TestF09StandbyPromoted(t *testing.T) {
	for name, fault := range map[string]struct {
		end   func(*Scene) error
		limit time.Duration
	}{
		"killed": {func(s *Scene) error { return s.Postgres.Kill() }, deadPrimaryLimit},
		"hangs":  {func(s *Scene) error { return s.Postgres.Freeze() }, hungPrimaryLimit},
	} {
		t.Run(name, func(t *testing.T) {
			s := Open(t, Plan{PrivatePostgres: true, Standby: true})
			load := s.Load()
			load.More(400)
			ctx, cancel := context.WithTimeout(context.Background(), preparing)
			defer cancel()
			s.Outage(func() {
				s.Must(fault.end(s))
				s.Must(s.Standby.Promote(ctx))
				promoted, done := time.Now(), s.acknowledged()
				s.await(fault.limit, "writes go on", func() bool { return s.acknowledged() > done })
				t.Logf("writes went on %s after the promotion", time.Since(promoted).Round(time.Millisecond))
			})
			s.Must(s.Postgres.Kill()) // it must not come to think that it is the primary still
			load.More(300)
			load.Stop()
			assert.Empty(t, load.Codes.unexpected())
			assert.Empty(t, load.PageCodes.unexpected())
			s.Check()
		})
	}
}

// TestF09StandbyAwayFirst: the standby is away for longer than a write waits, and then the primary dies. No write was
// acknowledged that only the primary had, not even when it was asked for again.
func TestF09StandbyAwayFirst(t *testing.T) {
	s := Open(t, Plan{PrivatePostgres: true, Standby: true, Unreplicated: true})
	load := s.Load()
	load.More(400)
	ctx, cancel := context.WithTimeout(context.Background(), preparing)
	defer cancel()
	s.Outage(func() {
		s.Must(s.Standby.Stop())
		load.During(attemptMax) // what was under way is over, and asked for again
		done := s.acknowledged()
		load.During(2 * time.Second)
		assert.Equal(t, done, s.acknowledged())
		s.Must(s.Postgres.Kill(), s.Standby.Start(), s.Standby.Promote(ctx))
	})
	load.More(300)
	load.Stop()
	assert.Empty(t, load.Codes.unexpected())
	assert.Empty(t, load.PageCodes.unexpected())
	s.Check()
}

// acknowledged is how many writes with a key were answered.
func (s *Scene) acknowledged() int { return len(s.History.Promises()) }
