package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"onhand/store/storetest"
)

const (
	// failoverLimit is how long after the death of a master its products may be without Redis.
	failoverLimit = 5 * time.Second
	// toldNobody is how long customers go on after the death of a master: what they write, Redis is not told.
	toldNobody = time.Second
	// fromRedisLimit is how soon pages come from Redis again after that: a Redis that was away is not believed at once.
	fromRedisLimit = 5 * time.Second
	// oursLimit is how much of that may be ours, counted from when a replica has taken the master's place: until then
	// nobody could do better.
	oursLimit = 2 * time.Second
	// quietAfter is for how long there must be no more errors.
	quietAfter = 2 * time.Second
)

// TestF06RedisClusterMasterDies: of six nodes one master dies under load, and its replica takes its place; then another
// one. Every page is answered all through it; within 5 s no call to Redis fails any more and pages come from it again,
// also after the dead master has come back as a replica; and within 5 s Redis is right. The cluster itself takes most of
// that: once a replica serves, both are a matter of 2 s.
func TestF06RedisClusterMasterDies(t *testing.T) {
	s := Open(t, Plan{Cluster: true, RedisForgets: true, Shoppers: 4})
	load := s.Load()
	load.More(200)
	victim := s.masterDies()
	promoted, ended := s.errorsEnd(victim)
	assert.Less(t, ended, failoverLimit, "calls to Redis failed until then")
	assert.Less(t, ended-promoted, oursLimit, "calls to Redis failed until then, although a replica served")
	s.shownFromRedis(fromRedisLimit)
	t.Logf("a master died: a replica served after %s, errors ended after %s, pages came from Redis again after %s", promoted, ended, victim.ago())

	s.Must(victim.node.Start())
	load.More(200)
	victim = s.masterDies()
	load.During(toldNobody)
	load.Stop()
	promoted = 0
	wrong := s.contradictions()
	for len(wrong) > 0 && victim.ago() < failoverLimit {
		time.Sleep(pollEvery)
		if promoted == 0 && s.Cluster.Replaced(victim.node, victim.key) {
			promoted = victim.ago()
		}
		wrong = s.contradictions()
	}
	right := victim.ago()
	s.report("I7: Redis after "+failoverLimit.String(), wrong)
	assert.Less(t, right-promoted, oursLimit, "Redis was wrong until then, although a replica served")
	t.Logf("another died: a replica served after %s, Redis was right after %s", promoted, right)
	s.shownFromRedis(fromRedisLimit)
	s.Must(victim.node.Start())
	load.untroubled(t)
	s.Check()
}

// victim is a master that was killed.
type victim struct {
	node   *storetest.RedisServer
	key    string // one that it served
	killed time.Time
}

// ago is how long it has been dead.
func (v victim) ago() time.Duration { return time.Since(v.killed).Round(10 * time.Millisecond) }

// masterDies kills the master that serves the first product.
func (s *Scene) masterDies() victim {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	key := "inventory:" + s.products[0]
	node := s.Cluster.MasterOf(ctx, key)
	v := victim{node, key, time.Now()}
	s.Must(node.Kill())
	return v
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

// errorsEnd waits until another node serves for the dead one and no copy has failed to reach Redis for a while, and
// tells how long after the death either was.
func (s *Scene) errorsEnd(v victim) (promoted, ended time.Duration) {
	s.t.Helper()
	before := s.redisErrors()
	s.await(failoverLimit+2*quietAfter, "calls to Redis fail no longer", func() bool {
		if promoted == 0 && s.Cluster.Replaced(v.node, v.key) {
			promoted = v.ago()
		}
		if now := s.redisErrors(); now > before {
			ended, before = v.ago(), now
		}
		return promoted > 0 && v.ago()-max(ended, promoted) > quietAfter
	})
	return promoted, ended
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
