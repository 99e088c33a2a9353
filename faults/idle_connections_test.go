package faults

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
)

const (
	// sessionsEnd is how soon Postgres ends the sessions of an instance that it does not reach: tcp_user_timeout of
	// deploy/postgres/accounts.sql, and what a probe of it may be late.
	sessionsEnd = 45 * time.Second
	// forgottenLimit is how soon an instance uses new connections when the network has forgotten all that it had.
	forgottenLimit = 8 * time.Second
)

// TestF29SessionsEnd: one instance is cut off from Postgres, in both directions, and Postgres ends its sessions within 45 s
// all the same. So an instance that vanished holds no connection for two hours, as the defaults of the kernel have it.
func TestF29SessionsEnd(t *testing.T) {
	s := Open(t, Setup{Hosts: true})
	l := s.Load()
	l.More(200)
	n := s.Network
	assert.Positive(t, s.sessionsFrom(n.Instances[1]))
	s.Outage(func() {
		began := time.Now()
		n.SetBoth(n.Instances[1], n.Postgres, cut)
		s.Await(sessionsEnd, "the sessions of "+s.Instances[1].Name+" end", func() bool { return s.sessionsFrom(n.Instances[1]) == 0 })
		t.Logf("its sessions ended after %s", rounded(time.Since(began)))
		n.Heal()
		s.Await(postgresBack, s.Instances[1].Name+" writes again", func() bool { return s.writes(s.Instances[1]) })
	})
	l.More(200)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// sessionsFrom counts the sessions that Postgres has with an address.
func (s *Shop) sessionsFrom(address netip.Addr) (sessions int) {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	s.Must(s.Checker.Database.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE client_addr = $1::inet`, address.String()).Scan(&sessions))
	return sessions
}

// TestF35ConnectionsForgotten: the network forgets every connection between an instance and its servers, as a firewall does
// that has lost its state: what either side sends on one is dropped silently, and new connections work. A write waits at
// most 8 s for that.
func TestF35ConnectionsForgotten(t *testing.T) {
	s := Open(t, Setup{Hosts: true})
	n, apart := s.Network, s.Instances[1]
	for range 2 {
		l := s.Load()
		l.More(300)
		l.Stop() // so that the connections have no load
		n.Forget(n.Instances[1], n.Postgres)
		n.Forget(n.Instances[1], n.Redis)
		began := time.Now()
		s.Outage(func() {
			s.Await(forgottenLimit, apart.Name+" writes", func() bool { return s.writes(apart) })
			first := rounded(time.Since(began))
			customer, slowest := s.Customer(1), time.Duration(0)
			for time.Since(began) < forgottenLimit {
				asked := time.Now()
				customer.Reserve(map[string]int{s.Target.Products[0]: 1}, load.LongTTL)
				slowest = max(slowest, time.Since(asked))
			}
			assert.Less(t, slowest, forgottenLimit)
			t.Logf("the first write took %s, the slowest later one %s", first, rounded(slowest))
		})
	}
	l := s.Load()
	l.More(300)
	l.Stop()
	l.CheckUndisturbed(t)
	s.Check()
}
