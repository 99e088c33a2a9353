package ledgerfeed

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"onhand/models"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// ledger is a stack whose ledger is followed.
type ledger struct {
	*fixture.Stack
	*Followers
}

// Directory implements DirectorySnapshot: it reads the database.
func (l ledger) Directory() *models.Directory {
	directory, err := l.Database.Directory(context.Background())
	if err != nil {
		return models.NewDirectory(nil, nil)
	}
	return directory
}

func followed(s *fixture.Stack) ledger {
	l := ledger{Stack: s}
	l.Followers = NewFollowers(s.Database, l)
	return l
}

// write writes and wakes the followers, as a store does.
func (l ledger) write(t *testing.T, w models.Write) {
	t.Helper()
	require.Empty(t, l.Write(t, w).Errors)
	l.Wake()
}

func (l ledger) follow(t *testing.T, after string, filter models.MovementFilter) models.Watch[*models.StockMovement] {
	t.Helper()
	watch, err := l.WatchMovements(t.Context(), after, filter)
	require.NoError(t, err)
	t.Cleanup(watch.Close)
	return watch
}

// next reads the next value of a watch.
func next[T any](t *testing.T, watch models.Watch[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	value, err := watch.Next(ctx)
	require.NoError(t, err)
	return value
}

// outside opens a connection of its own to a Postgres, as an administrator has.
func outside(t *testing.T, url string) *gorm.DB {
	t.Helper()
	db, err := gorm.Open(postgres.Open(url), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	t.Cleanup(func() {
		if pool, err := db.DB(); err == nil {
			_ = pool.Close()
		}
	})
	return db
}

// The ledger arrives as it grows and in order, narrowed by a filter, and goes on
// after a cursor.
func TestFollowTheLedger(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 5, "x", "y")
		l := followed(s)
		all := l.follow(t, "", models.MovementFilter{})
		some := l.follow(t, "", models.MovementFilter{ProductID: "y"})
		l.write(t, fixture.Receive("1", "x", 2))
		first := next(t, all)
		require.Equal(t, models.ReasonReceived, first.Reason)
		require.Equal(t, models.Quantities{Available: 7}, first.After)
		l.write(t, fixture.Reserve("2", "y", 1, time.Second))
		l.Expire(t)
		for _, want := range []models.Reason{models.ReasonReserved, models.ReasonExpired} {
			require.Equal(t, want, next(t, all).Reason)
			require.Equal(t, want, next(t, some).Reason)
		}
		again := l.follow(t, first.Cursor, models.MovementFilter{})
		require.Equal(t, models.ReasonReserved, next(t, again).Reason)
		require.Equal(t, models.ReasonExpired, next(t, again).Reason)
		l.write(t, fixture.Receive("3", "x", 1))
		require.Equal(t, models.ReasonReceived, next(t, again).Reason)
	})
}

// Outside transactions commit late and out of order, while the connections of the
// process are cut and its subscriber comes back by cursor: every movement arrives
// once.
func TestWatchMovementsThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "shop"))
	l := followed(fixture.Open(t, server.DSN("shop"), storetest.Redis(t).URL()))
	l.StockUp(t, 50, "a", "b", "c")
	watch := l.follow(t, "", models.MovementFilter{})
	console := outside(t, server.DSN("shop"))
	admin := outside(t, server.DSN("postgres"))

	// Each transaction takes the ids of two movements, one later than the other.
	one, two := console.Begin(), console.Begin()
	require.NoError(t, one.Exec("UPDATE stock_levels SET available = available - 1 WHERE product_id = 'a'").Error)
	require.NoError(t, two.Exec("UPDATE stock_levels SET available = available - 2 WHERE product_id = 'b'").Error)
	l.write(t, fixture.Receive("1", "c", 1))
	seen := []*models.StockMovement{next(t, watch)}
	require.Equal(t, "c", seen[0].ProductID, "open transactions block no follower")

	require.NoError(t, admin.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND application_name = 'onhand'").Error)
	require.NoError(t, two.Exec("UPDATE stock_levels SET damaged = 1 WHERE product_id = 'b'").Error)
	require.NoError(t, two.Commit().Error)
	seen = append(seen, next(t, watch))
	watch.Close() // with one of two seen
	require.NoError(t, one.Exec("UPDATE stock_levels SET damaged = 1 WHERE product_id = 'a'").Error)
	require.NoError(t, one.Commit().Error)

	watch = l.follow(t, seen[1].Cursor, models.MovementFilter{})
	for range 3 {
		seen = append(seen, next(t, watch))
	}
	fixture.Eventually(t, func() bool {
		_, err := l.Database.WriteUnderLock(t.Context(), []models.Write{fixture.Receive("2", "c", 1)})
		return err == nil
	})
	seen = append(seen, next(t, watch))
	after := map[string][]models.Quantities{}
	for _, m := range seen {
		after[m.ProductID] = append(after[m.ProductID], m.After)
	}
	require.Equal(t, map[string][]models.Quantities{
		"a": {{Available: 49}, {Available: 49, Damaged: 1}},
		"b": {{Available: 48}, {Available: 48, Damaged: 1}},
		"c": {{Available: 51}, {Available: 52}},
	}, after)
	require.Equal(t, models.ReasonReceived, seen[5].Reason, "the last to commit is the last to arrive")
}

// The server may stop and start while it is followed.
func TestWatchMovementsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "shop"))
	l := followed(fixture.Open(t, server.DSN("shop"), storetest.Redis(t).URL()))
	l.StockUp(t, 50, "a")
	watch := l.follow(t, "", models.MovementFilter{})
	l.write(t, fixture.Receive("1", "a", 1))
	require.NoError(t, server.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 3*pollInterval)
	_, err := watch.Next(ctx)
	cancel()
	if err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, server.Start())
	if err != nil {
		require.Equal(t, 51, next(t, watch).After.Available)
	}
	fixture.Eventually(t, func() bool {
		_, err := l.Database.WriteUnderLock(t.Context(), []models.Write{fixture.Receive("2", "a", 1)})
		return err == nil
	})
	require.Equal(t, 52, next(t, watch).After.Available)
}

// There is a bound of followers. One that leaves makes room, one that is refused
// takes none, and Stop ends all.
func TestFollowersAreBounded(t *testing.T) {
	t.Parallel()
	l := followed(fixture.SQLite(t, filepath.Join(t.TempDir(), "stock.db")))
	var watches []models.Watch[*models.StockMovement]
	for range followersMax {
		watches = append(watches, l.follow(t, "", models.MovementFilter{}))
	}
	_, err := l.WatchMovements(t.Context(), "", models.MovementFilter{})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	_, err = l.WatchStatus(t.Context(), "", nil, nil)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	watches[0].Close()
	watches[0].Close()
	_, err = watches[0].Next(t.Context())
	require.ErrorIs(t, err, errFollowerEnded)
	_, err = l.WatchMovements(t.Context(), "x", models.MovementFilter{})
	require.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "and it takes no room")
	l.follow(t, "", models.MovementFilter{})
	ended := make(chan error)
	go func() { _, err := watches[1].Next(context.Background()); ended <- err }()
	l.Stop()
	require.ErrorIs(t, <-ended, errFollowerEnded)
}
