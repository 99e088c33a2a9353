package faults

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/load"
	"onhand/faults/network"
	"onhand/faults/process"
)

// These scenarios give each instance a host of its own, and break the network between it and its servers. Packets are lost
// silently: no connection is closed or refused.

const (
	// slowPagesLimit is how slow pages may be at p99 on slow links that lose packets: TCP repeats a lost packet after 200 ms
	// at the soonest.
	slowPagesLimit = time.Second
	// partitionedFor is how long a partition lasts: longer than a write waits.
	partitionedFor = 8 * time.Second
	// redisNoticed and postgresNoticed are how soon an instance under load notices that it does not reach the server.
	redisNoticed, postgresNoticed = 3 * time.Second, 5 * time.Second
	// answerAtMost is how long any request waits meanwhile.
	answerAtMost = 9 * time.Second
	// redisBack and postgresBack are how soon after healing it uses the server again.
	redisBack, postgresBack = 8 * time.Second, 8 * time.Second
)

// slowLink is a link with 15 to 25 ms each way that loses 2 % of packets.
var slowLink = network.Impairment{Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Loss: 0.02}

// lossyWay and slowWay are a link that differs by direction: one way loses packets, the other one is slow.
var (
	lossyWay = network.Impairment{Loss: 0.05}
	slowWay  = network.Impairment{Delay: 40 * time.Millisecond, Jitter: 20 * time.Millisecond}
)

// cut drops every packet; healed is a whole link.
var cut, healed = network.Impairment{Cut: true}, network.Impairment{}

// TestF36SlowLinks: between the instances and their servers each packet takes 15 to 25 ms, and 2 % are lost, in both
// directions. Then the link between one instance and Postgres alone is lossy one way and slow the other. No client notices
// more than the delay.
func TestF36SlowLinks(t *testing.T) {
	s := Open(t, Setup{Hosts: true})
	l := s.Load()
	l.More(300)
	n, from := s.Network, l.PagesRead()
	for _, instance := range n.Instances {
		n.SetBoth(instance, n.Postgres, slowLink)
		n.SetBoth(instance, n.Redis, slowLink)
	}
	l.More(400)
	pages := l.Pages(from)
	assert.Positive(t, n.Lost(n.Postgres, n.Instances[0]))
	assert.Positive(t, n.Lost(n.Instances[0], n.Redis))
	t.Logf("on slow links: %s", pages)
	assert.Less(t, pages.P99, slowPagesLimit)
	n.Heal()
	l.More(200)
	for name, way := range map[string][2]network.Impairment{
		"the way to Postgres is lossy and the way back slow": {lossyWay, slowWay},
		"the way to Postgres is slow and the way back lossy": {slowWay, lossyWay},
	} {
		from = l.PagesRead()
		l.Slowest()
		n.Set(n.Instances[1], n.Postgres, way[0])
		n.Set(n.Postgres, n.Instances[1], way[1])
		l.More(150)
		pages = l.Pages(from)
		slowest := l.Slowest()
		t.Logf("%s: %s; the slowest attempt took %s", name, pages, slowest)
		assert.Less(t, pages.P99, slowPagesLimit)
		assert.Less(t, slowest, answerAtMost)
		n.Heal()
	}
	l.More(200)
	l.Stop()
	l.CheckUndisturbed(t)
	s.Check()
}

// partition is what is cut off between an instance and one of its servers.
type partition struct {
	name     string
	from, to bool // what the server sends; what the instance sends
}

var partitions = []partition{
	{"what the server sends", true, false},
	{"what the instance sends", false, true},
	{"both directions", true, true},
}

// begin cuts it.
func (p partition) begin(n *HostNetwork, instance, server netip.Addr) {
	if p.from {
		n.Set(server, instance, cut)
	}
	if p.to {
		n.Set(instance, server, cut)
	}
}

// TestF27PartitionFromRedis: one instance does not reach Redis, in one direction or both. It notices within 3 s, answers
// every request meanwhile, none with what is more than a second older than Redis, and uses Redis again within 8 s of healing.
func TestF27PartitionFromRedis(t *testing.T) {
	s := Open(t, Setup{Hosts: true})
	l := s.Load()
	bound := s.Checker.StartBoundMonitor()
	n, apart := s.Network, s.Instances[1]
	for _, p := range partitions {
		l.More(150)
		began := time.Now()
		p.begin(n, n.Instances[1], n.Redis)
		s.Await(redisNoticed, apart.Name+" notices that Redis is away: "+p.name, gaugeIs(apart, "onhand_redis_up", 0))
		noticed := time.Since(began)
		l.During(partitionedFor - noticed)
		s.awaitPages(s.Instances...)
		n.Heal()
		healed := time.Now()
		s.Await(remaining(healed, redisBack), apart.Name+" reaches Redis again: "+p.name, gaugeIs(apart, "onhand_redis_up", 1))
		s.Await(remaining(healed, redisBack), apart.Name+" receives changes from Redis again: "+p.name, gaugeIs(apart, "onhand_feed_connected", 1))
		t.Logf("%s: noticed after %s, healed after %s", p.name, rounded(noticed), rounded(time.Since(healed)))
	}
	l.More(150)
	l.Stop()
	s.Checker.EndBoundMonitor(bound)
	l.CheckUndisturbed(t)
	s.Check()
	s.checkSubscribersStayed()
}

// TestF28PartitionFromPostgres: one instance does not reach Postgres, in one direction or both. /readyz says so within 5 s,
// no request waits longer than 9 s, the other instance serves, and within 8 s of healing writes succeed again.
func TestF28PartitionFromPostgres(t *testing.T) {
	s := Open(t, Setup{Hosts: true})
	l := s.Load()
	n, apart := s.Network, s.Instances[1]
	for _, p := range partitions {
		l.More(150)
		l.Slowest()
		s.Outage(func() {
			began := time.Now()
			p.begin(n, n.Instances[1], n.Postgres)
			s.Await(postgresNoticed, apart.Name+" says that it is not ready: "+p.name, func() bool { return !apart.Ready() })
			noticed := time.Since(began)
			l.During(partitionedFor - noticed)
			n.Heal()
			healed := time.Now()
			s.Await(remaining(healed, postgresBack), apart.Name+" is ready again: "+p.name, apart.Ready)
			ready := time.Since(healed)
			s.Await(remaining(healed, postgresBack), apart.Name+" writes again: "+p.name, func() bool { return s.writes(apart) })
			slowest := l.Slowest()
			t.Logf("%s: not ready after %s, ready %s after healing, writes after %s; the slowest attempt took %s", p.name,
				rounded(noticed), rounded(ready), rounded(time.Since(healed)), slowest)
			assert.Less(t, slowest, answerAtMost)
		})
	}
	l.More(150)
	l.Stop()
	l.CheckRetryable(t)
	s.Check()
}

// writes reports whether an instance answers a write.
func (s *Shop) writes(i *process.Instance) bool {
	s.t.Helper()
	s.prepared++
	ctx, cancel := reading()
	defer cancel()
	var data load.WriteData
	return s.Target.Client.Ask(ctx, i.URL(), load.ReserveDocument, map[string]any{"input": map[string]any{
		"idempotencyKey": fmt.Sprintf("%s-probe-%d", s.Target.Name, s.prepared), "ttlSeconds": 60,
		"lines": []map[string]any{{"productId": "no such product", "quantity": 1}},
	}}, &data) == nil
}

// remaining is what is left of a limit that began at a moment.
func remaining(began time.Time, limit time.Duration) time.Duration {
	return max(limit-time.Since(began), 0)
}

func rounded(d time.Duration) time.Duration { return d.Round(10 * time.Millisecond) }
