package faults

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// connectionsMax is what one copy may open to Postgres, as store/database has it.
	connectionsMax = 16
	// breakerLimit is how soon the breaker must open when Redis hangs; pagesLimit, how slow pages may be meanwhile.
	breakerLimit, pagesLimit = time.Second, 300 * time.Millisecond
	// noticeLimit is how soon a copy notices that Redis is at one end only of its connections: it pings.
	noticeLimit = 10 * time.Second
	// resyncLimit is how soon subscribers are told what they have missed once Redis is heard again.
	resyncLimit = 3 * time.Second
	// repairLimit is how soon a copy that Redis tells nothing shows what others wrote: it looks itself every 5 s.
	repairLimit = 7 * time.Second
)

// TestF01RedisKilled: Redis dies under load and comes back empty. Every page is answered, and the database is not run
// over by those who used to ask Redis.
func TestF01RedisKilled(t *testing.T) {
	s := Open(t, Plan{Shoppers: 6, RedisForgets: true})
	load := s.Load()
	load.More(500)
	s.Must(s.Redis.Kill())
	load.More(500)
	var connections int
	ctx, cancel := s.looking()
	defer cancel()
	require.NoError(t, s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onhand'`).Scan(&connections))
	assert.LessOrEqual(t, connections, len(s.Copies)*(connectionsMax+1), "one more each listens")
	s.Must(s.Redis.Start())
	load.More(500)
	load.Stop()
	load.untroubled(t)
	s.Check()
}

// untroubled: no page stayed unanswered, and no customer had to ask twice.
func (l *Load) untroubled(t *testing.T) {
	t.Helper()
	assert.Zero(t, l.Pages(0, -1).Failed, "%s", &l.PageCodes)
	assert.Empty(t, l.Codes.String(), "a write needs no Redis")
}

// TestF02RedisFrozen: Redis hangs for 5 s with its connections open. The breaker opens within a second, pages stay quick,
// and what was sent to Redis before it froze does not overwrite anything newer when it goes on.
func TestF02RedisFrozen(t *testing.T) {
	s := Open(t, Plan{Shoppers: 6})
	load := s.Load()
	load.More(300)
	from, began := load.Mark(), time.Now()
	s.Must(s.Redis.Freeze())
	for _, c := range s.Copies {
		s.await(breakerLimit-time.Since(began), c.Name+": the breaker opens", func() bool {
			m, err := c.Metrics()
			return err == nil && m["onhand_redis_up"] == 0
		})
	}
	load.During(5*time.Second - time.Since(began))
	pages := load.Pages(from, -1)
	s.Must(s.Redis.Thaw())
	load.More(300)
	load.Stop()
	t.Logf("while Redis was frozen: %s", pages)
	assert.Positive(t, pages.Read)
	assert.Less(t, pages.P99, pagesLimit)
	load.untroubled(t)
	s.Check()
}

// slowWire is how late what one copy tells Redis arrives: long after the copy has given it up.
const slowWire = time.Second

// TestF02LateWritesLose: what a copy told Redis arrives there after newer versions of the other copy. It changes nothing,
// and no later write makes up for it.
func TestF02LateWritesLose(t *testing.T) {
	s := Open(t, Plan{Proxied: true, Opening: map[string]int{"cup": 1000, "mug": 1000, "jug": 1000}, Shoppers: -1})
	load := s.Load()
	load.More(200)
	load.Stop()
	slow, quick := s.Customer(0), s.Customer(1)
	for range 3 {
		require.Empty(t, s.awaitCache(cacheLimit))
		s.Copies[0].Redis.Delay(Up, slowWire)
		sent := time.Now()
		for _, product := range s.products {
			slow.hold(map[string]int{product: 1}, ttlLong)
		}
		for _, product := range s.products {
			quick.hold(map[string]int{product: 1}, ttlLong)
		}
		assert.Less(t, time.Since(sent), slowWire, "the later writes were not the first to arrive")
		load.During(time.Until(sent.Add(2 * slowWire)))
		s.Copies[0].Redis.Heal()
		require.Empty(t, s.awaitCache(0), "an older version has won")
		s.await(repairLimit, "the breaker closes", func() bool {
			m, err := s.Copies[0].Metrics()
			return err == nil && m["onhand_redis_up"] == 1
		})
	}
	s.Check()
}

// TestF03RedisFlushed: FLUSHALL again and again under load; and then one with many readers at once and nobody writing,
// of whom each copy makes at most one SELECT a product.
func TestF03RedisFlushed(t *testing.T) {
	s := Open(t, Plan{Shoppers: 6, RedisForgets: true})
	load := s.Load()
	ctx, cancel := context.WithTimeout(context.Background(), moreLimit)
	defer cancel()
	for range 8 {
		load.More(100)
		require.NoError(t, s.redis.FlushAll(ctx).Err())
	}
	load.More(100)
	load.Stop()
	load.untroubled(t)
	require.Empty(t, s.awaitCache(cacheLimit))
	for range 10 {
		before := s.reads(t)
		require.NoError(t, s.redis.FlushAll(ctx).Err())
		s.burst(t, 64)
		for i, after := range s.reads(t) {
			assert.LessOrEqual(t, after-before[i], float64(len(s.products)), "SELECTs of %s for %d products", s.Copies[i].Name, len(s.products))
		}
	}
	s.Check()
}

// reads is how many SELECTs for stock each copy has made.
func (s *Scene) reads(t *testing.T) (list []float64) {
	for _, c := range s.Copies {
		m, err := c.Metrics()
		require.NoError(t, err)
		list = append(list, m["onhand_database_reads_total"])
	}
	return list
}

// burst has n readers at once ask each copy for one product each.
func (s *Scene) burst(t *testing.T, n int) {
	var readers sync.WaitGroup
	for _, c := range s.Copies {
		for i := range n {
			readers.Go(func() {
				var data struct{ Stocks []struct{ Version int64 } }
				err := s.client.Ask(context.Background(), c.URL(), pageDocument, map[string]any{"ids": []string{s.products[i%len(s.products)]}}, &data)
				assert.NoError(t, err)
			})
		}
	}
	readers.Wait()
}

// TestF04RedisFull: Redis has no memory left and refuses every write, then throws out what was used least. Pages are
// answered, and none is old for long.
func TestF04RedisFull(t *testing.T) {
	s := Open(t, Plan{Shoppers: 6, RedisForgets: true})
	load := s.Load()
	load.More(300)
	s.setRedis("maxmemory-policy", "noeviction")
	s.setRedis("maxmemory", "1")
	load.More(300)
	s.seenBy(s.Copies...)
	s.setRedis("maxmemory-policy", "allkeys-lru") // one byte is no room for any key: each that comes sends another away
	load.More(300)
	s.setRedis("maxmemory", "0")
	load.More(100)
	load.Stop()
	load.untroubled(t)
	s.Check()
}

func (s *Scene) setRedis(name, value string) {
	s.t.Helper()
	ctx, cancel := s.looking()
	defer cancel()
	s.Must(s.redis.ConfigSet(ctx, name, value).Err())
}

// seenBy waits until pages of these copies say at least what the database says of all products now.
func (s *Scene) seenBy(copies ...*Copy) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), moreLimit)
	defer cancel()
	stored, _, err := s.truths(ctx)
	s.Must(err)
	for _, c := range copies {
		s.await(repairLimit, c.Name+" shows what was committed", func() bool {
			var data struct {
				Stocks []struct {
					ProductID string
					Version   int64
				}
			}
			err := s.client.Ask(ctx, c.URL(), pageDocument, map[string]any{"ids": s.products}, &data)
			for _, stock := range data.Stocks {
				err = errors.Join(err, older(stock.ProductID, stock.Version, stored[stock.ProductID].Version))
			}
			return err == nil
		})
	}
}

func older(product string, version, least int64) error {
	if version < least {
		return fmt.Errorf("%s is shown as version %d, and %d was committed", product, version, least)
	}
	return nil
}

// TestF05RedisHalfOpen: what Redis sends no longer reaches one copy, then what that copy sends no longer reaches Redis,
// and no connection is closed. The copy notices: in the first case also that its feed hears nothing, which in the second
// goes on. Its subscribers are told all the same, and have everything when it heals.
func TestF05RedisHalfOpen(t *testing.T) {
	s := Open(t, Plan{Proxied: true})
	load := s.Load()
	cut := s.Copies[1]
	for way, gauge := range map[string]string{Down: "onhand_feed_connected", Up: "onhand_redis_up"} {
		load.More(200)
		cut.Redis.Drop(way)
		s.await(noticeLimit, cut.Name+" notices that nothing goes "+way, func() bool {
			m, err := cut.Metrics()
			return err == nil && m[gauge] == 0
		})
		load.More(200)
		s.seenBy(s.Copies...)
		cut.Redis.Heal()
	}
	load.More(200)
	load.Stop()
	load.untroubled(t)
	for range missedRounds {
		s.missed(cut)
	}
	s.Check()
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s: a subscriber need not notice", sub)
	}
}

// missedRounds: in one round of three or so the copy happens to look itself just then.
const missedRounds = 3

// missed has others write, in a silence, while a copy hears nothing from Redis, and sees that its subscribers are told as
// soon as it hears again, rather than when it looks itself.
func (s *Scene) missed(deaf *Copy) {
	s.t.Helper()
	s.Must(errorsOf(s.awaitCache(cacheLimit)))
	deaf.Redis.Drop(Down)
	s.await(noticeLimit, deaf.Name+" notices", func() bool {
		m, err := deaf.Metrics()
		return err == nil && m["onhand_feed_connected"] == 0
	})
	other := s.Customer(0)
	for _, product := range s.products {
		other.hold(map[string]int{product: 1}, ttlLong)
	}
	deaf.Redis.Heal()
	healed := time.Now()
	lacking := s.AwaitWatchers(resyncLimit, s.Subscribers...)
	s.report("what was missed", lacking)
	s.t.Logf("after %s subscribers lack %d products", time.Since(healed).Round(time.Millisecond), len(lacking))
}

func errorsOf(found []string) error {
	if len(found) == 0 {
		return nil
	}
	return errors.New(strings.Join(found, "\n"))
}
