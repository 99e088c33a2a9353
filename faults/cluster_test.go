package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	// failoverLimit is how long after the death of a master its products may be without Redis.
	failoverLimit = 5 * time.Second
	// fromRedisLimit is how soon pages come from Redis again after that: a Redis that was away is not believed at once.
	fromRedisLimit = 5 * time.Second
	// quietAfter is for how long there must be no more errors.
	quietAfter = 2 * time.Second
)

// TestF06RedisClusterMasterDies: of six nodes one master dies under load, and its replica takes its place; then another
// one. Every page is answered all through it; within 5 s no call to Redis fails any more and pages come from it again,
// also after the dead master has come back as a replica; and within 5 s Redis is right.
func TestF06RedisClusterMasterDies(t *testing.T) {
	s := Open(t, Plan{Cluster: true, RedisForgets: true, Shoppers: 4})
	load := s.Load()
	load.More(200)
	ctx, cancel := s.looking()
	defer cancel()
	key := "inventory:" + s.products[0]
	victim := s.Cluster.MasterOf(ctx, key)
	killed := time.Now()
	s.Must(victim.Kill())
	ended := s.errorsEnd(killed)
	assert.Less(t, ended, failoverLimit, "calls to Redis failed until then")
	s.shownFromRedis(fromRedisLimit)
	t.Logf("errors ended %s after the death of a master, and pages came from Redis again after %s", ended, time.Since(killed).Round(10*time.Millisecond))

	s.Must(victim.Start())
	load.More(200)
	second := s.Cluster.MasterOf(ctx, key)
	killed = time.Now()
	s.Must(second.Kill())
	load.During(failoverLimit / 2)
	load.Stop()
	wrong := s.contradictions()
	for len(wrong) > 0 && time.Since(killed) < failoverLimit {
		time.Sleep(pollEvery)
		wrong = s.contradictions()
	}
	s.report("I7: Redis after "+failoverLimit.String(), wrong)
	t.Logf("Redis was right %s after the death of another", time.Since(killed).Round(10*time.Millisecond))
	s.shownFromRedis(fromRedisLimit)
	s.Must(second.Start())
	load.untroubled(t)
	s.Check()
}

// contradictions lists what nodes say of a product, and is to be believed, that is not what the database says, and nodes
// that do not answer. They need not know every product: until Redis is read again, nobody fills it.
func (s *Scene) contradictions() (wrong []string) {
	ctx, cancel := s.looking()
	defer cancel()
	stored, epoch, err := s.truths(ctx)
	s.Must(err)
	cached, err := s.cached(ctx, epoch)
	if err != nil {
		return []string{err.Error()}
	}
	for product, c := range cached {
		if *c != stored[product] {
			wrong = append(wrong, fmt.Sprintf("%s is %+v, and %+v in the database", product, *c, stored[product]))
		}
	}
	return wrong
}

// errorsEnd waits until no copy has failed to reach Redis for a while, and tells how long after a moment the last one did.
func (s *Scene) errorsEnd(since time.Time) time.Duration {
	s.t.Helper()
	last, before := since, s.redisErrors()
	s.await(failoverLimit+2*quietAfter, "calls to Redis fail no longer", func() bool {
		if now := s.redisErrors(); now > before {
			last, before = time.Now(), now
		}
		return time.Since(last) > quietAfter
	})
	return last.Sub(since).Round(10 * time.Millisecond)
}

// redisErrors is how many calls to Redis have failed or were not even tried, over all copies.
func (s *Scene) redisErrors() (sum float64) {
	for _, c := range s.Copies {
		m, err := c.Metrics()
		s.Must(err)
		sum += m["onhand_redis_failures_total"] + m["onhand_redis_refusals_total"]
	}
	return sum
}

// shownFromRedis waits until each copy reads every product from Redis.
func (s *Scene) shownFromRedis(limit time.Duration) {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	for _, c := range s.Copies {
		s.await(limit, c.Name+" reads from Redis", func() bool {
			var data struct{ Stocks []struct{ Source string } }
			err := s.client.Ask(ctx, c.URL(), `query($ids: [ID!]!) { stocks(productIds: $ids) { source } }`, map[string]any{"ids": s.products}, &data)
			for _, stock := range data.Stocks {
				if stock.Source != "CACHE" {
					return false
				}
			}
			return err == nil
		})
	}
}
