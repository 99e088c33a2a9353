package store

import (
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"gorm.io/gorm"

	"onhand/models"
	"onhand/store/groupcommit"
	"onhand/store/storetest"
)

// Redis is down at the start and later. Reads and reservations go on from the
// database, subscribers get the changes of this instance, and Redis is right again
// when it is back.
func TestRedisDown(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	redis.Kill()
	s := open(t, Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL()})
	stockUp(t, s, 5, "x")
	require.Equal(t, models.FromDatabase, read(t, s, "x").Source)
	require.Error(t, s.Health(t.Context()).Redis)
	require.NoError(t, s.Health(t.Context()).Database)
	watch, err := s.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	write(t, s, reserve("k", "x", 2, time.Hour))
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 3 })
	require.Equal(t, 3, read(t, s, "x").Quantity(), "a writer reads its own write")

	require.NoError(t, redis.Start())
	eventually(t, func() bool { st := read(t, s, "x"); return cached(st) && st.Quantity() == 3 })
	redis.Kill()
	write(t, s, receive("r", "x", 4))
	require.Equal(t, 7, read(t, s, "x").Quantity())
	require.NoError(t, redis.Start())
	eventually(t, func() bool { st := read(t, s, "x"); return cached(st) && st.Quantity() == 7 })
}

// The epoch is checked as soon as Redis answers again, not at the next turn: the
// Redis that is back may have lost what it had, here also the watermark.
func TestRedisBackIsChecked(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	s := open(t, Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL(), EpochCheckInterval: time.Hour})
	watermarked := func() bool {
		watermark, err := s.cache.Watermark(t.Context())
		return err == nil && watermark.Epoch != "" && watermark.Epoch == s.epoch.Epoch()
	}
	eventually(t, watermarked)
	redis.Kill()
	eventually(t, func() bool { read(t, s, "x"); return !s.cache.Healthy() })
	require.NoError(t, redis.Start())
	eventually(t, watermarked)
}

// A Redis that hangs costs little: the circuit breaker opens after a few round
// trips, and then the database answers reads without a wait for Redis.
func TestRedisFrozen(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	s := open(t, Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL()})
	stockUp(t, s, 5, "x")
	require.NoError(t, redis.Freeze())
	began := time.Now()
	eventually(t, func() bool { read(t, s, "x"); return !s.cache.Healthy() })
	require.Less(t, time.Since(began), 5*time.Second)
	refused := s.cache.Stats().Refusals
	require.Equal(t, 5, read(t, s, "x").Quantity())
	require.Greater(t, s.cache.Stats().Refusals, refused, "the breaker answered instead of Redis")
	write(t, s, receive("r", "x", 1))
	require.NoError(t, redis.Thaw())
	eventually(t, func() bool { st := read(t, s, "x"); return cached(st) && st.Quantity() == 6 })
}

// Redis comes back from an outage with the values from before it, and the change
// that another instance made meanwhile is still in the outbox. A client that has
// read the new value from the database does not see the old one again.
func TestRedisBackWithOldValues(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL(), EpochCheckInterval: 50 * time.Millisecond}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	eventually(t, func() bool { return cached(read(t, s, "x")) })
	drained(t, s)
	s.relay.Stop() // it will be late
	require.NoError(t, redis.Freeze())
	_, err := s.database.WriteUnderLock(t.Context(), []models.Write{receive("k", "x", 2)}) // as another instance does
	require.NoError(t, err)
	eventually(t, func() bool { return read(t, s, "x").Quantity() == 7 && !s.cache.Healthy() })
	refused := s.cache.Stats().Refusals
	eventually(t, func() bool { return s.cache.Stats().Refusals > refused+2 }) // the epoch was checked
	require.NoError(t, redis.Thaw())
	eventually(t, func() bool {
		stock := read(t, s, "x")
		require.Equal(t, 7, stock.Quantity(), stock.Source)
		return cached(stock)
	})
}

// The database is down: writes are UNAVAILABLE, quickly, and work again when it is
// back.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	pg := storetest.PrivatePostgres(t)
	require.NoError(t, pg.CreateDatabase(t.Context(), "shop"))
	s := open(t, Config{DatabaseURL: pg.DSN("shop"), RedisURL: storetest.Redis(t).URL()})
	stockUp(t, s, 5, "x")
	eventually(t, func() bool { return cached(read(t, s, "x")) })
	require.NoError(t, pg.Stop())
	began := time.Now()
	_, err := s.Write(t.Context(), reserve("k", "x", 1, time.Hour))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.Less(t, time.Since(began), groupcommit.WaitMax, "the caller was answered before its own deadline")
	require.Equal(t, 5, read(t, s, "x").Quantity(), "products in Redis are still answered")
	_, err = s.Stocks(t.Context(), []string{"not cached"})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.Error(t, s.Health(t.Context()).Database)
	require.NoError(t, pg.Start())
	eventually(t, func() bool {
		result, err := s.Write(t.Context(), reserve("k", "x", 1, time.Hour))
		return err == nil && result.Reservation != nil
	})
	require.Equal(t, 4, read(t, s, "x").Quantity())
}

// A database went back in time: it was restored from a backup. Values in Redis from
// after the backup are not used.
func TestDatabaseRestored(t *testing.T) {
	t.Parallel()
	pg := storetest.PrivatePostgres(t)
	require.NoError(t, pg.CreateDatabase(t.Context(), "shop"))
	config := Config{DatabaseURL: pg.DSN("shop"), RedisURL: storetest.Redis(t).URL(), EpochCheckInterval: 50 * time.Millisecond}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	drained(t, s)
	s.Close() // a template must not be in use
	db := outside(t, pg.DSN("postgres"))
	require.NoError(t, db.Exec("CREATE DATABASE backup TEMPLATE shop").Error)

	s = open(t, config)
	for i := range 10 {
		write(t, s, receive(fmt.Sprint(i), "x", 10))
	}
	watch, err := s.WatchStock(t.Context(), []string{"x"})
	require.NoError(t, err)
	defer watch.Close()
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 105 })
	eventually(t, func() bool { return cached(read(t, s, "x")) })
	eventually(t, func() bool { // the epoch check has set the watermark
		watermark, err := s.cache.Watermark(t.Context())
		return err == nil && watermark.Sequence > 10
	})
	require.NoError(t, db.Exec("DROP DATABASE shop WITH (FORCE)").Error)
	require.NoError(t, db.Exec("CREATE DATABASE shop TEMPLATE backup").Error)
	awaitStock(t, watch, func(s *models.Stock) bool { return s.Quantity() == 5 })
	eventually(t, func() bool { st := read(t, s, "x"); return cached(st) && st.Quantity() == 5 })

	// And the same when every instance was down meanwhile: Redis has the watermark.
	for i := range 10 {
		write(t, s, receive(fmt.Sprint("again", i), "x", 10))
	}
	eventually(t, func() bool {
		watermark, err := s.cache.Watermark(t.Context())
		return err == nil && watermark.Sequence > 10
	})
	s.Close()
	require.NoError(t, db.Exec("DROP DATABASE shop WITH (FORCE)").Error)
	require.NoError(t, db.Exec("CREATE DATABASE shop TEMPLATE backup").Error)
	s = open(t, config)
	eventually(t, func() bool { return read(t, s, "x").Quantity() == 5 })
}

// The values of a Redis that comes back with an old snapshot are not used.
func TestRedisRestored(t *testing.T) {
	t.Parallel()
	redis := storetest.Redis(t)
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: redis.URL(), EpochCheckInterval: 50 * time.Millisecond}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	drained(t, s)
	eventually(t, func() bool {
		watermark, err := s.cache.Watermark(t.Context())
		return err == nil && watermark.RecordedRunIDs == watermark.RunIDs
	})
	saved, err := administrator(t, s).Dump(t.Context(), s.cache.Keys().Stock("x")).Result()
	require.NoError(t, err)
	watermark, err := administrator(t, s).Dump(t.Context(), s.cache.Keys().Watermark()).Result()
	require.NoError(t, err)
	write(t, s, receive("k", "x", 2))
	drained(t, s)
	keys := s.cache.Keys()
	s.Close() // a real Redis loads its snapshot before it answers
	redis.Kill()
	require.NoError(t, redis.Start())
	options, err := goredis.ParseURL(redis.URL())
	require.NoError(t, err)
	client := goredis.NewClient(options)
	defer client.Close()
	require.NoError(t, client.RestoreReplace(t.Context(), keys.Watermark(), 0, watermark).Err())
	require.NoError(t, client.RestoreReplace(t.Context(), keys.Stock("x"), time.Hour, saved).Err())
	s = open(t, config)
	eventually(t, func() bool { return read(t, s, "x").Quantity() == 7 })
	eventually(t, func() bool { st := read(t, s, "x"); return cached(st) && st.Quantity() == 7 })
}

// A backup was taken before the last epoch began. Its own, earlier epoch comes
// back, and values in Redis from the later time of that epoch are not used.
func TestRestoredPastAnEpoch(t *testing.T) {
	t.Parallel()
	config := Config{DatabaseURL: storetest.Postgres(t), RedisURL: storetest.Redis(t).URL(), EpochCheckInterval: 50 * time.Millisecond}
	s := open(t, config)
	stockUp(t, s, 5, "x")
	drained(t, s)
	first := s.epoch.Epoch()
	write(t, s, receive("k", "x", 100))
	drained(t, s)
	require.NoError(t, s.database.NewEpoch(t.Context(), first))
	eventually(t, func() bool { return s.epoch.Epoch() != first })
	require.Equal(t, "105", s.clients[0].HGet(t.Context(), s.cache.Keys().Stock("x"), "quantity").Val(), "a value of the first epoch")
	require.Equal(t, first, s.clients[0].HGet(t.Context(), s.cache.Keys().Stock("x"), "epoch").Val())

	require.NoError(t, outside(t, config.DatabaseURL).Transaction(func(tx *gorm.DB) error { // as the backup has it
		for _, sql := range []string{
			"SET LOCAL session_replication_role = replica",
			"UPDATE stock_levels SET available = 5",
			"UPDATE products SET version = version - 1",
			"UPDATE onhand_meta SET epoch = '" + first + "'",
		} {
			if err := tx.Exec(sql).Error; err != nil {
				return err
			}
		}
		return nil
	}))
	eventually(t, func() bool { st := read(t, s, "x"); return st.Quantity() == 5 && cached(st) })
}
