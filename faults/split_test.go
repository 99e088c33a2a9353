package faults

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/checker"
	"onhand/store/storetest"
)

// These scenarios cut a server off from the others of its kind. The instances reach it all the while: nothing fails that
// would tell them.

// addressOf is the address of a Redis on a host of its own, without its port.
func addressOf(server *storetest.RedisServer) netip.Addr {
	return netip.MustParseAddrPort(server.Addr()).Addr()
}

// TestF37RedisMasterSplitOff: the network separates the master from its replica and the Sentinels, and from no instance. The
// Sentinels name the replica, and the old master serves every caller. Each instance uses the new one, for its messages
// too, and no page is older than the bound. When the network heals the old master becomes a replica, and nobody notices.
func TestF37RedisMasterSplitOff(t *testing.T) {
	s := Open(t, Setup{Hosts: true, Sentinel: true, RedisEmptied: true, Shoppers: 4})
	l := s.Load()
	s.Stock(map[string]int{outside: 1}, "")
	end := s.changeOutside()
	defer end()
	committed := s.Checker.StartCommittedMonitor(outside)
	l.More(200)

	old, n := s.Sentinel.Master(), s.Network
	began := time.Now()
	for _, address := range append(s.Sentinel.SentinelHosts(), addressOf(s.Sentinel.Other(old))) {
		n.SetBoth(addressOf(old), address, cut)
	}
	s.Await(sentinelLimit, "the Sentinels name another master", func() bool { m := s.Sentinel.Master(); return m != nil && m != old })
	t.Logf("the Sentinels named another master after %s", rounded(time.Since(began)))
	l.During(partitionedFor)
	l.Stop() // so that no later write makes up for a lost message
	s.Checker.Report("I8, while the old master serves", s.Checker.AwaitSubscribers(checker.SubscribersLimit, s.Subscribers...))

	l = s.Load()
	l.More(100)
	n.Heal()
	s.Await(sentinelLimit, "the old master is a replica", func() bool { return s.Sentinel.Replicas() == 1 })
	l.More(200)
	l.Stop()
	end()
	s.Checker.EndBoundMonitor(committed)
	l.CheckUndisturbed(t)
	s.Check()
	s.checkSubscribersStayed()
}

// checkSubscribersStayed fails the test where a subscriber had to connect again.
func (s *Shop) checkSubscribersStayed() {
	s.t.Helper()
	for _, sub := range s.Subscribers {
		assert.Equal(s.t, 1, sub.Sessions(), "%s: a subscriber must not notice", sub)
	}
}
