package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// awaitMovement reads the next movement.
func awaitMovement(t *testing.T, watch models.Watch[*models.StockMovement]) *models.StockMovement {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	m, err := watch.Next(ctx)
	require.NoError(t, err)
	return m
}

func follow(t *testing.T, s *Store, after string, filter models.MovementFilter) models.Watch[*models.StockMovement] {
	t.Helper()
	watch, err := s.WatchMovements(t.Context(), after, filter)
	require.NoError(t, err)
	t.Cleanup(watch.Close)
	return watch
}

// The ledger arrives as it grows, whatever made it grow, and goes on after a
// cursor.
func TestWatchMovements(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x", "y")
		all := follow(t, s, "", models.MovementFilter{})
		some := follow(t, s, "", models.MovementFilter{ProductID: "y"})
		write(t, s, receive("1", "x", 2))
		first := awaitMovement(t, all)
		require.Equal(t, models.ReasonReceived, first.Reason)
		require.Equal(t, models.Quantities{Available: 7}, first.After)
		write(t, s, hold("2", "y", 1, time.Second))
		for _, want := range []models.Reason{models.ReasonReserved, models.ReasonExpired} {
			require.Equal(t, want, awaitMovement(t, all).Reason)
			require.Equal(t, want, awaitMovement(t, some).Reason)
		}
		again := follow(t, s, first.Cursor, models.MovementFilter{})
		require.Equal(t, models.ReasonReserved, awaitMovement(t, again).Reason)
		require.Equal(t, models.ReasonExpired, awaitMovement(t, again).Reason)
		write(t, s, receive("3", "x", 1))
		require.Equal(t, models.ReasonReceived, awaitMovement(t, again).Reason)
	})
}

// Outside transactions that commit late and out of order, while the
// connections of the process are cut and its reader comes back by cursor:
// everything arrives once.
func TestWatchMovementsThroughAnOutage(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "shop"))
	s := open(t, Config{DatabaseURL: server.DSN("shop")})
	stockUp(t, s, 50, "a", "b", "c")
	watch := follow(t, s, "", models.MovementFilter{})
	dba := outside(t, server.DSN("shop"))
	cut := outside(t, server.DSN("postgres"))

	// Each transaction takes the ids of two movements, a moment apart.
	one, two := dba.Begin(), dba.Begin()
	require.NoError(t, one.Exec("UPDATE stock_levels SET available = available - 1 WHERE product_id = 'a'").Error)
	require.NoError(t, two.Exec("UPDATE stock_levels SET available = available - 2 WHERE product_id = 'b'").Error)
	write(t, s, receive("1", "c", 1))
	seen := []*models.StockMovement{awaitMovement(t, watch)}
	require.Equal(t, "c", seen[0].ProductID, "nobody waits for transactions that are open")

	require.NoError(t, cut.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop' AND application_name = 'onhand'").Error)
	require.NoError(t, two.Exec("UPDATE stock_levels SET damaged = 1 WHERE product_id = 'b'").Error)
	require.NoError(t, two.Commit().Error)
	seen = append(seen, awaitMovement(t, watch))
	watch.Close() // with one of two seen
	require.NoError(t, one.Exec("UPDATE stock_levels SET damaged = 1 WHERE product_id = 'a'").Error)
	require.NoError(t, one.Commit().Error)

	watch = follow(t, s, seen[1].Cursor, models.MovementFilter{})
	for range 3 {
		seen = append(seen, awaitMovement(t, watch))
	}
	eventually(t, func() bool {
		_, err := s.Write(t.Context(), receive("2", "c", 1))
		return err == nil
	})
	seen = append(seen, awaitMovement(t, watch))
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

// The server may stop and start under a follower.
func TestWatchMovementsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	server := storetest.PrivatePostgres(t)
	require.NoError(t, server.CreateDatabase(t.Context(), "shop"))
	s := open(t, Config{DatabaseURL: server.DSN("shop")})
	stockUp(t, s, 50, "a")
	watch := follow(t, s, "", models.MovementFilter{})
	write(t, s, receive("1", "a", 1))
	require.NoError(t, server.Kill())
	ctx, cancel := context.WithTimeout(t.Context(), 3*followEvery)
	_, err := watch.Next(ctx)
	cancel()
	if err != nil {
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, server.Start())
	if err != nil {
		require.Equal(t, 51, awaitMovement(t, watch).After.Available)
	}
	eventually(t, func() bool {
		_, err := s.Write(t.Context(), receive("2", "a", 1))
		return err == nil
	})
	require.Equal(t, 52, awaitMovement(t, watch).After.Available)
}

// So many follow the ledger and no more; who leaves makes room; a store that
// closes ends all.
func TestFollowersAreBounded(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:"})
	var watches []models.Watch[*models.StockMovement]
	for range followersMax {
		watches = append(watches, follow(t, s, "", models.MovementFilter{}))
	}
	_, err := s.WatchMovements(t.Context(), "", models.MovementFilter{})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	watches[0].Close()
	watches[0].Close()
	_, err = watches[0].Next(t.Context())
	require.ErrorIs(t, err, errNoLongerFollowed)
	_, err = s.WatchMovements(t.Context(), "x", models.MovementFilter{})
	require.Equal(t, models.CodeBadUserInput, models.CodeOf(err), "and takes no room")
	follow(t, s, "", models.MovementFilter{})
	ended := make(chan error)
	go func() { _, err := watches[1].Next(context.Background()); ended <- err }()
	s.Close()
	require.Error(t, <-ended)
}

// TestFollowersBackOff: while the database is away each follower asks less and
// less often, no two at the same times; and as ever once it is back.
func TestFollowersBackOff(t *testing.T) {
	t.Parallel()
	f, other := follower{away: awayPace()}, follower{away: awayPace()}
	var waits, others []time.Duration
	for range 8 {
		waits, others = append(waits, f.until(true)), append(others, other.until(true))
	}
	require.NotEqual(t, waits, others)
	require.LessOrEqual(t, waits[0], followEvery)
	for _, wait := range waits[3:] {
		require.GreaterOrEqual(t, wait, followAwayMax/2)
		require.LessOrEqual(t, wait, followAwayMax)
	}
	require.InDelta(t, followEvery, f.until(false), float64(followEvery)/10)
	require.LessOrEqual(t, f.until(true), followEvery, "it begins anew")
}
