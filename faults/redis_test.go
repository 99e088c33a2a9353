package faults

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/faults/checker"
	"onhand/faults/load"
	"onhand/faults/process"
)

const (
	// connectionsMax is how many connections one instance may open to Postgres, as store/database has it.
	connectionsMax = 16
	// breakerLimit is how soon the circuit breaker must open when Redis hangs; pagesLimit, how slow pages may be meanwhile.
	breakerLimit, pagesLimit = time.Second, 300 * time.Millisecond
	// noticeLimit is how soon an instance notices that its connections to Redis are dead: it pings.
	noticeLimit = 10 * time.Second
	// resyncLimit is how soon subscribers receive what they have missed once Redis is connected again.
	resyncLimit = 3 * time.Second
	// repairLimit is how soon an instance that receives nothing from Redis shows the writes of others: it polls every 5 s.
	repairLimit = 7 * time.Second
)

// TestF01RedisKilled: Redis dies under load and comes back empty. Every page is answered, and the readers that used to ask
// Redis do not overload the database.
func TestF01RedisKilled(t *testing.T) {
	s := Open(t, Setup{Shoppers: 6, RedisEmptied: true})
	l := s.Load()
	l.More(500)
	s.Must(s.Redis.Kill())
	l.More(500)
	var connections int
	ctx, cancel := reading()
	defer cancel()
	require.NoError(t, s.Checker.Database.QueryRow(ctx,
		`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'onhand'`).Scan(&connections))
	assert.LessOrEqual(t, connections, len(s.Instances)*(connectionsMax+1), "one more each listens")
	s.Must(s.Redis.Start())
	l.More(500)
	l.Stop()
	l.CheckUndisturbed(t)
	s.Check()
}

// TestF02RedisFrozen: Redis hangs for 5 s with its connections open. The circuit breaker opens within a second, pages stay
// fast, and what was sent to Redis before it froze overwrites nothing newer when it resumes.
func TestF02RedisFrozen(t *testing.T) {
	s := Open(t, Setup{Shoppers: 6})
	l := s.Load()
	l.More(300)
	from, began := l.PagesRead(), time.Now()
	s.Must(s.Redis.Freeze())
	for _, i := range s.Instances {
		s.Await(breakerLimit-time.Since(began), i.Name+": the circuit breaker opens", gaugeIs(i, "onhand_redis_up", 0))
	}
	l.During(5*time.Second - time.Since(began))
	pages := l.Pages(from)
	s.Must(s.Redis.Thaw())
	l.More(300)
	l.Stop()
	t.Logf("while Redis was frozen: %s", pages)
	assert.Positive(t, pages.Read)
	assert.Less(t, pages.P99, pagesLimit)
	l.CheckUndisturbed(t)
	s.Check()
}

// gaugeIs reports whether a metric of an instance has a value.
func gaugeIs(i *process.Instance, name string, value float64) func() bool {
	return func() bool {
		m, err := i.Metrics()
		return err == nil && m[name] == value
	}
}

// lateBy is how late the writes of one instance arrive at Redis: long after the instance has given them up.
const lateBy = time.Second

// TestF02LateWritesLose: writes of one instance arrive at Redis after newer versions of the other. They change nothing, and
// no later write makes up for it.
func TestF02LateWritesLose(t *testing.T) {
	s := Open(t, Setup{Proxied: true, Opening: map[string]int{"cup": 1000, "mug": 1000, "jug": 1000}, Shoppers: -1})
	l := s.Load()
	l.More(200)
	l.Stop()
	slow, fast := s.Customer(0), s.Customer(1)
	for range 3 {
		require.Empty(t, s.Checker.AwaitCache(checker.CacheLimit))
		s.Instances[0].Redis.Delay(process.Up, lateBy)
		sent := time.Now()
		for _, customer := range []*load.Customer{slow, fast} {
			for _, product := range s.Target.Products {
				customer.Reserve(map[string]int{product: 1}, load.LongTTL)
			}
		}
		assert.Less(t, time.Since(sent), lateBy, "the later writes did not arrive first")
		l.During(time.Until(sent.Add(2 * lateBy)))
		s.Instances[0].Redis.Heal()
		require.Empty(t, s.Checker.AwaitCache(0), "an older version was kept")
		s.Await(repairLimit, "the circuit breaker closes", gaugeIs(s.Instances[0], "onhand_redis_up", 1))
	}
	s.Check()
}

// TestF03RedisFlushed: FLUSHALL again and again under load. Then one with many readers at once and no writer: each
// instance makes at most one SELECT for a product.
func TestF03RedisFlushed(t *testing.T) {
	s := Open(t, Setup{Shoppers: 6, RedisEmptied: true})
	l := s.Load()
	ctx, cancel := context.WithTimeout(context.Background(), load.MoreLimit)
	defer cancel()
	for range 8 {
		l.More(100)
		require.NoError(t, s.Checker.Cache.FlushAll(ctx).Err())
	}
	l.More(100)
	l.Stop()
	l.CheckUndisturbed(t)
	require.Empty(t, s.Checker.AwaitCache(checker.CacheLimit))
	for range 10 {
		before := s.metrics()
		require.NoError(t, s.Checker.Cache.FlushAll(ctx).Err())
		s.readAtOnce(t, 64)
		for i, after := range s.metrics() {
			reads := after["onhand_database_reads_total"] - before[i]["onhand_database_reads_total"]
			assert.LessOrEqual(t, reads, float64(len(s.Target.Products)), "SELECTs of %s for %d products", s.Instances[i].Name, len(s.Target.Products))
		}
	}
	s.Check()
}

// readAtOnce has n readers at once ask each instance for one product each.
func (s *Shop) readAtOnce(t *testing.T, n int) {
	var readers sync.WaitGroup
	for _, i := range s.Instances {
		for reader := range n {
			readers.Go(func() {
				ids := []string{s.Target.Products[reader%len(s.Target.Products)]}
				err := s.Target.Client.Ask(context.Background(), i.URL(), load.PageDocument, map[string]any{"ids": ids}, &load.PageData{})
				assert.NoError(t, err)
			})
		}
	}
	readers.Wait()
}

// TestF04RedisFull: Redis has no memory left and refuses every write; then it evicts the keys that were used least. Pages
// are answered, and none is old for long.
func TestF04RedisFull(t *testing.T) {
	s := Open(t, Setup{Shoppers: 6, RedisEmptied: true})
	l := s.Load()
	l.More(300)
	s.setRedis("maxmemory-policy", "noeviction")
	s.setRedis("maxmemory", "1")
	l.More(300)
	s.awaitPages(s.Instances...)
	s.setRedis("maxmemory-policy", "allkeys-lru") // one byte is too little for any key: each new one evicts another
	l.More(300)
	s.setRedis("maxmemory", "0")
	l.More(100)
	l.Stop()
	l.CheckUndisturbed(t)
	s.Check()
}

func (s *Shop) setRedis(name, value string) {
	s.t.Helper()
	ctx, cancel := reading()
	defer cancel()
	s.Must(s.Checker.Cache.ConfigSet(ctx, name, value).Err())
}

// awaitPages waits until pages of these instances show at least what the database has of all products now.
func (s *Shop) awaitPages(instances ...*process.Instance) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), load.MoreLimit)
	defer cancel()
	stored, _, err := s.Checker.Stored(ctx)
	s.Must(err)
	for _, i := range instances {
		s.Await(repairLimit, i.Name+" shows what was committed", func() bool {
			var page load.PageData
			err := s.Target.Client.Ask(ctx, i.URL(), load.PageDocument, map[string]any{"ids": s.Target.Products}, &page)
			for _, stock := range page.Stocks {
				if committed := stored[stock.ProductID].Version; stock.Version < committed {
					err = errors.Join(err, fmt.Errorf("%s is shown as version %d, and %d was committed", stock.ProductID, stock.Version, committed))
				}
			}
			return err == nil
		})
	}
}

// missedRounds is how often writes are missed: in about one round of three the instance happens to poll just then.
const missedRounds = 3

// TestF05RedisHalfOpen: what Redis sends no longer reaches one instance; then what that instance sends no longer reaches
// Redis. No connection is closed. The instance notices: in the first case also that its feed receives nothing; in the
// second the feed works. Its subscribers receive changes all the same, and have everything when the connection is healed.
func TestF05RedisHalfOpen(t *testing.T) {
	s := Open(t, Setup{Proxied: true})
	l := s.Load()
	cut := s.Instances[1]
	for direction, gauge := range map[process.Direction]string{process.Down: "onhand_feed_connected", process.Up: "onhand_redis_up"} {
		l.More(200)
		cut.Redis.Drop(direction)
		s.Await(noticeLimit, fmt.Sprintf("%s notices that nothing passes %s", cut.Name, direction), gaugeIs(cut, gauge, 0))
		l.More(200)
		s.awaitPages(s.Instances...)
		cut.Redis.Heal()
	}
	l.More(200)
	l.Stop()
	l.CheckUndisturbed(t)
	for range missedRounds {
		s.checkMissed(cut)
	}
	s.Check()
	for _, sub := range s.Subscribers {
		assert.Equal(t, 1, sub.Sessions(), "%s: a subscriber must not notice", sub)
	}
}

// checkMissed has another instance write while one receives nothing from Redis, and no later write makes up for it. The
// subscribers must receive the writes as soon as Redis is connected again, not when the instance polls.
func (s *Shop) checkMissed(deaf *process.Instance) {
	s.t.Helper()
	require.Empty(s.t, s.Checker.AwaitCache(checker.CacheLimit))
	deaf.Redis.Drop(process.Down)
	s.Await(noticeLimit, deaf.Name+" notices", gaugeIs(deaf, "onhand_feed_connected", 0))
	other := s.Customer(0)
	for _, product := range s.Target.Products {
		other.Reserve(map[string]int{product: 1}, load.LongTTL)
	}
	deaf.Redis.Heal()
	healed := time.Now()
	lacking := s.Checker.AwaitSubscribers(resyncLimit, s.Subscribers...)
	s.Checker.Report("a missed write", lacking)
	s.t.Logf("after %s subscribers lack %d products", time.Since(healed).Round(time.Millisecond), len(lacking))
}
