package faults

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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

// TestF09OldPrimaryReturns: the primary dies, its standby is promoted, and then the old primary comes back and accepts
// writes, with no standby to wait for. It is the first one of the URL. All connections are made anew, and no instance
// writes there.
func TestF09OldPrimaryReturns(t *testing.T) {
	s := Open(t, Setup{PrivatePostgres: true, Standby: true, SessionAttrs: "read-write"})
	l := s.Load()
	l.More(200)
	ctx, cancel := context.WithTimeout(context.Background(), 4*prepareLimit)
	defer cancel()
	s.Outage(func() {
		s.Must(s.Postgres.Kill(), s.Standby.Promote(ctx))
		before := s.acknowledged()
		s.Await(deadPrimaryLimit, "writes succeed", func() bool { return s.acknowledged() > before })
		s.Must(s.Postgres.Start())
		old, promoted := s.Postgres.DSN("shop"), s.Standby.DSN("shop")
		s.execute(ctx, old, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
		versions := s.versions(ctx, old)
		for range 5 {
			s.execute(ctx, promoted, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'onhand'")
			before := s.acknowledged()
			s.Await(hungPrimaryLimit, "writes succeed", func() bool { return s.acknowledged() > before+20 })
		}
		assert.Equal(t, versions, s.versions(ctx, old), "an instance wrote at the old primary")
		s.Must(s.Postgres.Kill()) // the checks take the first one that accepts writes
	})
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// versions adds up the versions of all products at a server.
func (s *Shop) versions(ctx context.Context, dsn string) (sum int64) {
	s.t.Helper()
	connection, err := pgx.Connect(ctx, dsn)
	s.Must(err)
	defer func() { _ = connection.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	s.Must(connection.QueryRow(ctx, "SELECT sum(version)::bigint FROM products").Scan(&sum))
	return sum
}
