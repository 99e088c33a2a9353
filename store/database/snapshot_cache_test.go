package database_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/database/optimistic"
)

// A channel that changes while a write reads it is not cached in its old form under its
// new version.
func TestSnapshotCacheOfAChannelThatChanges(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		tx, err := s.raw.Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec("LOCK TABLE onhand_meta IN ACCESS EXCLUSIVE MODE")
		require.NoError(t, err)
		web := func() models.Reserve {
			w := reserve(line("mug", 1))
			w.Channel = "web"
			return w
		}
		done := make(chan error, 1)
		go func() { _, err := s.WriteUnderLock(context.Background(), []models.Write{web()}); done <- err }()
		s.awaitBlocked(t)
		_, err = tx.Exec("DELETE FROM channel_locations WHERE channel_id = 'web'")
		require.NoError(t, err)
		_, err = tx.Exec("INSERT INTO channel_locations VALUES ('web', 'north')")
		require.NoError(t, err)
		require.NoError(t, tx.Commit())
		require.NoError(t, <-done)
		w := web()
		out, err := s.decide(t.Context(), []models.Write{w})
		require.NoError(t, err)
		require.Equal(t, []models.Allocation{{LocationID: "north", Quantity: 1}}, allocations(t, out.Results[0].Reservation))
	})
}

// An optimistic batch is compared with the directory that it was decided on, whatever
// the cache learns before the batch closes.
func TestOptimisticBatchWhileTheDirectoryIsLearned(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		web := reserve(line("mug", 1))
		web.Channel = "web"
		s.ok(web)
		b := s.NewOptimisticBatch()
		web.IdempotencyKey = newKey()
		require.True(t, b.Add(s.Prepare(web)))
		s.exec("UPDATE channel_locations SET location_id = 'north' WHERE channel_id = 'web'")
		s.ok(reserve(line("cup", 1)))
		b.Close()
		_, err := b.Commit(t.Context())
		require.Error(t, err)
	})
}

// An optimistic batch is compared with the epoch that it was decided in.
func TestOptimisticBatchWhileAnEpochIsLearned(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		b := s.NewOptimisticBatch()
		require.True(t, b.Add(s.Prepare(reserve(line("mug", 1)))))
		s.exec("UPDATE onhand_meta SET epoch = 'restored'")
		_, err := s.ReadMeta(t.Context())
		require.NoError(t, err)
		s.ok(reserve(line("cup", 1)))
		b.Close()
		_, err = b.Commit(t.Context())
		require.Error(t, err)
	})
}

// A restored database reaches the same version with other quantities: the cache does not
// decide on the lost state of that version.
func TestSnapshotCacheOfALostVersion(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.ok(adjust(delta("mug", "north", models.Available, 20))) // version v: 30 in north
		v := s.read("mug").Version
		s.exec(fmt.Sprintf(`BEGIN; SET LOCAL session_replication_role = replica;
			UPDATE stock_levels SET available = 10 WHERE product_id = 'mug' AND location_id = 'north';
			UPDATE products SET version = %[1]d - 1 WHERE product_id = 'mug';
			DELETE FROM ledger_rows WHERE product_id = 'mug' AND version = %[1]d; COMMIT`, v))
		s.ok(adjust(delta("mug", "south", models.Available, 5)))
		require.Equal(t, v, s.read("mug").Version)
		_, err := s.decide(t.Context(), []models.Write{reserve(line("mug", 1))})
		require.NoError(t, err)
		require.Equal(t, 9, s.level("mug", "north").Available)
	})
}

// Changing a location and inserting a level there block each other, so that no answer
// and no decision has the level of a location as it was.
func TestLevelMadeWhileItsLocationCloses(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		s.stock("pen", "south", 1)
		tx, err := s.raw.Begin()
		require.NoError(t, err)
		defer func() { _ = tx.Rollback() }()
		_, err = tx.Exec("UPDATE locations SET active = false WHERE location_id = 'north'")
		require.NoError(t, err)
		done := make(chan models.Outcome, 1)
		go func() {
			defer close(done)
			out, err := s.WriteUnderLock(context.Background(), []models.Write{adjust(delta("pen", "north", models.Available, 5))})
			assert.NoError(t, err)
			done <- out
		}()
		s.awaitBlocked(t)
		require.NoError(t, tx.Commit())
		published, now := (<-done).Stocks[0], s.read("pen")
		require.Equal(t, now.Version, published.Version)
		require.Equal(t, now.Levels, published.Levels)
		s.ok(reserve(line("mug", 1))) // caches the directory
		got, err := s.decide(t.Context(), []models.Write{reserve(line("pen", 1))})
		require.NoError(t, err)
		require.Equal(t, []models.Allocation{{LocationID: "south", Quantity: 1}}, allocations(t, got.Results[0].Reservation))
	})
}

// Times are right in every DateStyle of the server.
func TestOptimisticBatchTimesInAnyStyle(t *testing.T) {
	on(t, []string{postgres}, func(t *testing.T, s *shop) {
		s.stock("mug", "north", 10)
		db := openOnly(t, s.url+"&datestyle=SQL,DMY&timezone=Asia/Kolkata")
		_, err := db.ReadMeta(t.Context())
		require.NoError(t, err)
		out, err := db.WriteUnderLock(t.Context(), []models.Write{reserve(line("mug", 1))})
		require.NoError(t, err)
		b := db.NewOptimisticBatch()
		require.True(t, b.Add(db.Prepare(reserve(line("mug", 1)))))
		b.Close()
		then, err := b.Commit(t.Context())
		require.NoError(t, err)
		require.WithinDuration(t, out.Results[0].Reservation.CreatedAt, then.Results[0].Reservation.CreatedAt, time.Minute)
	})
}

// A new instance preloads as many products as the cache may have, and decides
// optimistically from then on.
func TestPreload(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		db := s.otherInstance(t)
		s.exec("INSERT INTO products (product_id) SELECT 'other ' || n FROM generate_series(1, $1::int) n", database.CachedProductsMax)
		s.exec("INSERT INTO products (product_id) VALUES ('zither')")
		require.NoError(t, db.Preload(t.Context()))
		ids, err := s.ProductIDs(t.Context(), "", 2*database.CachedProductsMax)
		require.NoError(t, err)
		every := make([]models.RequestedLine, len(ids))
		for i, id := range ids {
			every[i] = line(id, 1)
		}
		require.Len(t, db.Unknown(db.Prepare(reserve(every...))), len(ids)-database.CachedProductsMax, "not more than the cache may have")
		require.NotEmpty(t, db.Unknown(db.Prepare(reserve(line("zither", 1)))), "the last product is not read, and evicts no other")
		b := db.NewOptimisticBatch()
		require.True(t, b.Add(db.Prepare(reserve(line("cup", 1), line("mug", 12)))))
		b.Close()
		_, err = b.Commit(t.Context())
		require.NoError(t, err)
	})
}

// Fetch reads products without a lock. A batch decided on them is refused when they
// changed since.
func TestFetch(t *testing.T) {
	onPostgres(t, func(t *testing.T, s *shop) {
		db := s.otherInstance(t)
		prepared := func() *database.PreparedWrite {
			return db.Prepare(reserve(line("mug", 12), line("gone", 0), line("cup", 1)))
		}
		require.Equal(t, []string{"mug", "gone", "cup"}, db.Unknown(prepared()))
		require.NoError(t, db.Fetch(t.Context(), []string{"mug", "cup", "gone", "mug"}))
		require.Equal(t, []string{"gone"}, db.Unknown(prepared()))

		closed := func() *database.OptimisticBatch {
			b := db.NewOptimisticBatch()
			require.True(t, b.Add(db.Prepare(reserve(line("mug", 12), line("cup", 1)))))
			b.Close()
			return b
		}
		out, err := closed().Commit(t.Context())
		require.NoError(t, err)
		require.Equal(t, s.read("mug"), timeless(out.Stocks[1]))
		require.NoError(t, db.Fetch(t.Context(), []string{"mug", "cup"}), "cached products stay")
		refused := db.NewOptimisticBatch()
		require.True(t, refused.Add(db.Prepare(reserve(line("mug", 1)))))
		s.settings("mug", "max_per_reservation = 1")
		refused.Close()
		_, err = refused.Commit(t.Context())
		require.ErrorIs(t, err, optimistic.ErrRefused)
	})
}
