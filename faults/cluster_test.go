package faults

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/wait"
	"onhand/store/storetest"
)

const (
	// failoverLimit is how long after the death of a master its products may be without Redis.
	failoverLimit = 5 * time.Second
	// unpublishedTime is how long customers continue after the death of a master: Redis does not receive their writes.
	unpublishedTime = time.Second
	// fromRedisLimit is how soon after that pages come from Redis again at all instances: a Redis that was away is bypassed for
	// a while.
	fromRedisLimit = 5 * time.Second
	// clusterPromotedLimit is how long instances may be without Redis from when a replica has replaced the master of a Redis
	// Cluster: before that no client could do better.
	clusterPromotedLimit = 2 * time.Second
	// quietAfter is for how long there must be no more errors.
	quietAfter = 2 * time.Second
)

// TestF06RedisClusterMasterDies: of six nodes one master dies under load, and its replica replaces it; then another one.
// Every page is answered. Within 5 s no call to Redis fails any more and pages come from it again, also after the dead
// master has come back as a replica; and within 5 s Redis equals the database. The cluster itself takes most of that: once
// a replica serves, both take 2 s at most.
func TestF06RedisClusterMasterDies(t *testing.T) {
	s := Open(t, Setup{Cluster: true, RedisEmptied: true, Shoppers: 4})
	l := s.Load()
	s.Stock(map[string]int{outside: 1}, "")
	end := s.changeOutside()
	defer end()
	committed := s.Checker.StartCommittedMonitor(outside)
	l.More(200)
	victim := s.killMaster()
	promoted, ended := s.awaitErrorsEnd(victim)
	assert.Less(t, ended, failoverLimit, "calls to Redis failed until then")
	assert.Less(t, ended-promoted, clusterPromotedLimit, "calls to Redis failed until then, although a replica served")
	s.awaitFromRedis(fromRedisLimit)
	t.Logf("a master died: a replica served after %s, errors ended after %s, pages came from Redis again after %s", promoted, ended, victim.deadFor())

	s.Must(victim.node.Start())
	l.More(200)
	victim = s.killMaster()
	l.During(unpublishedTime)
	l.Stop()
	end()
	promoted = 0
	wrong := s.Checker.CacheContradictions()
	for len(wrong) > 0 && victim.deadFor() < failoverLimit {
		time.Sleep(wait.PollEvery)
		if promoted == 0 && s.Cluster.Replaced(victim.node, victim.key) {
			promoted = victim.deadFor()
		}
		wrong = s.Checker.CacheContradictions()
	}
	equal := victim.deadFor()
	s.Checker.Report("I7: Redis after "+failoverLimit.String(), wrong)
	assert.Less(t, equal-promoted, clusterPromotedLimit, "Redis differed until then, although a replica served")
	t.Logf("another died: a replica served after %s, Redis equalled the database after %s", promoted, equal)
	s.awaitFromRedis(fromRedisLimit)
	s.Checker.EndBoundMonitor(committed)
	s.Must(victim.node.Start())
	l.CheckUndisturbed(t)
	s.Check()
}

// deadMaster is a master that was killed.
type deadMaster struct {
	node   *storetest.RedisServer
	key    string // one that it served
	killed time.Time
}

// deadFor is how long it has been dead.
func (d deadMaster) deadFor() time.Duration { return time.Since(d.killed).Round(10 * time.Millisecond) }

// killMaster kills the master that serves the first product.
func (s *Shop) killMaster() deadMaster {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	key := checker.CacheKey(s.Target.Products[0])
	node := s.Cluster.MasterOf(ctx, key)
	dead := deadMaster{node, key, time.Now()}
	s.Must(node.Kill())
	return dead
}

// awaitErrorsEnd waits until another node serves for the dead one and no instance has failed to reach Redis for a while.
// It reports how long after the death either was.
func (s *Shop) awaitErrorsEnd(dead deadMaster) (promoted, ended time.Duration) {
	s.t.Helper()
	before := s.redisErrors()
	s.Await(failoverLimit+2*quietAfter, "calls to Redis succeed", func() bool {
		if promoted == 0 && s.Cluster.Replaced(dead.node, dead.key) {
			promoted = dead.deadFor()
		}
		if now := s.redisErrors(); now > before {
			ended, before = dead.deadFor(), now
		}
		return promoted > 0 && dead.deadFor()-max(ended, promoted) > quietAfter
	})
	return promoted, ended
}

// redisErrors is how many calls to Redis have failed or were refused by the circuit breaker, over all instances.
func (s *Shop) redisErrors() (sum float64) {
	for _, m := range s.metrics() {
		sum += m["onhand_redis_failures_total"] + m["onhand_redis_refusals_total"]
	}
	return sum
}

// awaitFromRedis waits until all instances read every product from Redis.
func (s *Shop) awaitFromRedis(limit time.Duration) {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	began := time.Now()
	for _, i := range s.Instances {
		s.Await(remaining(began, limit), i.Name+" reads from Redis", func() bool {
			var page load.PageData
			err := s.Target.Client.Ask(ctx, i.URL(), load.PageDocument, map[string]any{"ids": s.Target.Products}, &page)
			for _, stock := range page.Stocks {
				if stock.Source == "DATABASE" {
					return false
				}
			}
			return err == nil
		})
	}
}
