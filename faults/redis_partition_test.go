package faults

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/wait"
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

const (
	// splitSettles is how long after the promotion of a replica subscribers may lack changes: until a subscription is found
	// dead, and for attempts at a new one, of which some may be at the old master.
	splitSettles = 6 * time.Second
	// splitLag is how long they may lack a change from then on.
	splitLag = 2 * time.Second
	// splitChanges is how many changes they are given meanwhile, one at a time.
	splitChanges = 12
	// splitEpochsMax is how many epochs may begin for each separated master: one for its replacement, and two each time when an
	// instance asks the old master who the masters are: before that knows that it is separated, and when the network has
	// just healed.
	splitEpochsMax = 8
)

// TestF40ClusterMasterSplitOff: the network separates a master of a Redis Cluster, to which an instance listens, from the
// other five nodes, and from no instance; then another one, from the instances too. The others promote its replica, and the
// old master sends no message any more, although it answers pings. No page is older than the bound, subscribers see each
// change within two seconds, and few epochs begin. When the network heals the old master becomes a replica, and nobody notices.
func TestF40ClusterMasterSplitOff(t *testing.T) {
	s := Open(t, Setup{Hosts: true, Cluster: true, RedisEmptied: true, Shoppers: 4})
	s.Stock(map[string]int{outside: 1}, "")
	end := s.changeOutside()
	defer end()
	committed := s.Checker.StartCommittedMonitor(outside)
	epochs, endEpochs := s.countEpochs()
	defer endEpochs()
	separations := []struct {
		name string
		more []netip.Addr
	}{{"from the other nodes", nil}, {"from the instances too", s.Network.Instances}}
	for _, separation := range separations {
		l := s.Load()
		l.More(200)
		old := s.listenedMaster()
		before, began := epochs.Load(), time.Now()
		for _, address := range append(s.Cluster.Others(old), separation.more...) {
			s.Network.SetBoth(addressOf(old), address, cut)
		}
		s.Await(failoverLimit, "the others promote its replica", func() bool { return s.Cluster.ReplacedByOthers(old) })
		t.Logf("%s: a replica was promoted after %s", separation.name, rounded(time.Since(began)))
		l.During(splitSettles)
		l.Stop() // so that no later write makes up for a lost message
		s.checkEachSeen("while a master is separated " + separation.name)
		l.CheckUndisturbed(t)

		l = s.Load()
		l.More(100)
		s.Network.Heal()
		s.Await(sentinelLimit, "the old master is a replica", func() bool { return s.Cluster.Follows(old) })
		s.awaitFromRedis(fromRedisLimit)
		l.More(200)
		l.Stop()
		l.CheckUndisturbed(t)
		t.Logf("%d epochs began", epochs.Load()-before)
		assert.LessOrEqual(t, epochs.Load()-before, int64(splitEpochsMax), "epochs")
	}
	endEpochs()
	end()
	s.Checker.EndBoundMonitor(committed)
	s.Check()
	s.checkSubscribersStayed()
}

// listenedMaster is a master of the cluster to which a hub listens.
func (s *Shop) listenedMaster() *storetest.RedisServer {
	ctx, cancel := reading()
	defer cancel()
	return s.Cluster.ListenedMaster(ctx)
}

// checkEachSeen changes one product after another, by one instance after another, while nobody else writes, and expects
// each change at all subscribers before the next one.
func (s *Shop) checkEachSeen(when string) {
	s.t.Helper()
	var slowest time.Duration
	for n := range splitChanges {
		product := s.Target.Products[n%len(s.Target.Products)]
		s.Customer(n/len(s.Target.Products)).Reserve(map[string]int{product: 1}, load.LongTTL)
		began := time.Now()
		s.Checker.Report("I8, "+when, s.Checker.AwaitSubscribers(splitLag, s.Subscribers...))
		slowest = max(slowest, time.Since(began))
	}
	s.t.Logf("%s: %d changes, the slowest was seen after %s", when, splitChanges, slowest.Round(time.Millisecond))
}

// countEpochs counts the epochs that begin until the end.
func (s *Shop) countEpochs() (begun *atomic.Int64, end func()) {
	begun = &atomic.Int64{}
	ctx, cancel := context.WithCancel(context.Background())
	var counting sync.WaitGroup
	counting.Go(func() {
		for last := ""; ctx.Err() == nil; time.Sleep(wait.PollEvery) {
			_, epoch, err := s.Checker.Stored(ctx)
			if err == nil && last != "" && last != epoch {
				begun.Add(1)
			}
			if err == nil {
				last = epoch
			}
		}
	})
	return begun, func() { cancel(); counting.Wait() }
}
