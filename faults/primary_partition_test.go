package faults

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// splitFor is how long the primary stays apart once the standby was promoted.
	splitFor = 3 * time.Second
	// replicationBack is how soon writes succeed after the primary reaches its standby again. TCP repeats what was lost after
	// up to as long as the network was away.
	replicationBack = 20 * time.Second
)

// TestF38PrimaryPartitioned: the network cuts the primary off from its standby and from every instance; it neither refuses
// nor closes a connection. The standby is promoted, and the instances find it by their URL. Then they reach the old primary
// again, which is the first of the URL, still believes that it is the primary, and waits for no standby any more. Connections
// to it that outlived the partition work again. No instance acknowledges what only the old primary has.
func TestF38PrimaryPartitioned(t *testing.T) {
	s := Open(t, Setup{Hosts: true, Standby: true, Unreplicated: true})
	n, l := s.Network, s.Load()
	l.More(300)
	ctx, cancel := context.WithTimeout(context.Background(), 4*prepareLimit)
	defer cancel()
	s.Outage(func() {
		began := time.Now()
		n.SetBoth(n.Postgres, n.Standby, cut)
		n.SetBoth(n.Postgres, n.Customers, cut) // the checks ask the promoted one
		for _, instance := range n.Instances {
			n.SetBoth(n.Postgres, instance, cut)
		}
		s.Must(s.Standby.Promote(ctx))
		promoted, before := time.Now(), s.acknowledged()
		s.Await(hungPrimaryLimit, "writes succeed", func() bool { return s.acknowledged() > before })
		t.Logf("the standby was promoted after %s, and writes succeeded %s later", rounded(promoted.Sub(began)), rounded(time.Since(promoted)))
		l.During(splitFor)
		s.believeAlone(ctx, t)
		for _, instance := range n.Instances {
			n.SetBoth(n.Postgres, instance, healed)
		}
		l.During(partitionedFor)
	})
	l.More(300)
	s.Must(s.Postgres.Kill())
	n.Heal()
	l.More(100)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// believeAlone has the old primary wait for no standby any more. The shoppers' address reaches it all the while.
func (s *Shop) believeAlone(ctx context.Context, t *testing.T) {
	t.Helper()
	config, err := pgx.ParseConfig(s.Postgres.DSN("shop"))
	require.NoError(t, err)
	config.DialFunc = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: s.Network.Shoppers.AsSlice()}}).DialContext
	old, err := pgx.ConnectConfig(ctx, config)
	require.NoError(t, err)
	defer func() { _ = old.Close(context.WithoutCancel(ctx)) }() // nothing is left to lose
	for _, statement := range []string{"ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"} {
		_, err = old.Exec(ctx, statement)
		require.NoError(t, err)
	}
}

// TestF39PrimaryLosesStandby: the network cuts the primary off from its synchronous standby alone, in either direction and in
// both. No write is acknowledged meanwhile, pages are answered, and writes succeed again after it heals.
func TestF39PrimaryLosesStandby(t *testing.T) {
	s := Open(t, Setup{Hosts: true, Standby: true, Unreplicated: true})
	n, l := s.Network, s.Load()
	for _, p := range partitions {
		l.More(150)
		l.Slowest()
		s.Outage(func() {
			p.begin(n, n.Standby, n.Postgres)
			l.During(2 * time.Second) // what the standby had received is answered
			before, from := s.acknowledged(), l.PagesRead()
			l.During(partitionedFor - 2*time.Second)
			assert.Equal(t, before, s.acknowledged(), "acknowledged without the standby: "+p.name)
			pages := l.Pages(from)
			assert.Zero(t, pages.Failed)
			n.Heal()
			healedAt, before := time.Now(), s.acknowledged()
			s.Await(replicationBack, "writes succeed: "+p.name, func() bool { return s.acknowledged() > before })
			slowest := l.Slowest()
			t.Logf("%s: writes succeeded %s after healing, the slowest attempt took %s; pages meanwhile: %s", p.name, rounded(time.Since(healedAt)), slowest, pages)
			assert.Less(t, slowest, answerAtMost)
		})
	}
	l.More(150)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}
