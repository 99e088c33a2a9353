package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/process"
)

// TestF10InstanceKilled: one instance is killed under load, with a batch in flight and reservations of its customers about
// to expire. Customers continue at the other. Reservations end in time, and each cart was reserved whole or not at all.
func TestF10InstanceKilled(t *testing.T) {
	s := Open(t, Setup{Short: true, ShortReservations: true})
	l := s.Load()
	l.More(500)
	s.Instances[0].Kill()
	l.More(500) // the other one does everything, the expiries of the first one's reservations too
	s.Instances[0].Start()
	l.More(300)
	l.Stop()
	assert.Positive(t, l.Attempts.Count(load.NoAnswer), "the fault had no effect")
	l.CheckRetryable(t)
	s.Check()
}

// unpublishedFor is longer than an instance lives that cannot reach Redis: what it commits meanwhile it does not publish.
const unpublishedFor = 20 * time.Second

// TestF11CrashBeforePublish: an instance commits while it cannot reach Redis, and is killed before it could publish: under
// load, and then while no later write makes up for it. The relay of the other instance drains the outbox to Redis and to
// subscribers. Those of the killed instance, which had what it committed, have it again within the time of the relay.
func TestF11CrashBeforePublish(t *testing.T) {
	s := Open(t, Setup{Proxied: true})
	l := s.Load()
	doomed, other := s.Instances[0], s.Instances[1]
	for range 3 {
		l.More(200)
		s.crashUnpublished(0, func() { l.More(100) })
		doomed.Redis.Heal()
		s.awaitPages(other)
		doomed.Start()
	}
	l.More(200)
	l.Stop()
	require.Empty(t, s.Checker.AwaitCache(checker.CacheLimit))
	atDoomed := []*load.Subscriber{s.Subscribe(load.WebSocket, 0), s.Subscribe(load.SSE, 0)}
	s.AwaitLive(process.StartLimit, atDoomed...)
	s.Checker.Subscribers = append(s.Checker.Subscribers, atDoomed...)
	s.crashUnpublished(0, func() {
		last := s.Customer(0)
		for _, product := range s.Target.Products {
			last.Reserve(map[string]int{product: 1}, load.LongTTL)
		}
	})
	require.Empty(t, s.Checker.AwaitCache(checker.CacheLimit))
	for _, sub := range atDoomed {
		s.Await(process.StartLimit, sub.Name+" is live again", func() bool { return sub.Sessions() > 1 && sub.Live() })
	}
	l.CheckRetryable(t)
	s.Check()
}

// crashUnpublished has an instance commit while it cannot reach Redis, and kills it.
func (s *Shop) crashUnpublished(number int, commit func()) {
	s.t.Helper()
	doomed, from := s.Instances[number], time.Now()
	doomed.Redis.Delay(process.Up, unpublishedFor)
	commit()
	doomed.Kill()
	killed := time.Now()
	s.Checker.Crashes = append(s.Checker.Crashes, load.Crash{
		Instance: number, From: from, Killed: killed, Until: killed.Add(checker.CacheLimit),
	})
}
