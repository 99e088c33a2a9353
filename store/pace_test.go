package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// TestLoopsAreNotInStep: two copies that begin at one moment drift apart, and
// both go about as often as they should.
func TestLoopsAreNotInStep(t *testing.T) {
	t.Parallel()
	const interval, turns = time.Second, 200
	var first, second time.Duration
	apart := false
	for range turns {
		first, second = first+around(interval), second+around(interval)
		apart = apart || (first-second).Abs() > interval/10
	}
	require.True(t, apart)
	require.InDelta(t, turns*interval, first, float64(turns*interval)/20)
}

// TestFollowersBackOff: while the database is away each follower asks less and
// less often, no two at the same times; and as ever once it is back.
func TestFollowersBackOff(t *testing.T) {
	t.Parallel()
	var f, other follower
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

// TestSilentServers: with both servers taking connections and saying nothing, a
// copy starts, says UNAVAILABLE within the bounds, and ends.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	const connectTimeout, readTimeout, busy = 2 * time.Second, 3 * time.Second, 2 * time.Second
	s, err := Open(Config{DatabaseURL: "postgres://u@" + storetest.Silent(t) + "/x?sslmode=disable", RedisURL: "redis://" + storetest.Silent(t)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	began := time.Now()
	require.NoError(t, s.Start())
	require.Less(t, time.Since(began), readTimeout+keepTimeout+busy, "start")

	for name, ask := range map[string]func() error{
		"read": func() error { _, err := s.Stocks(t.Context(), []string{"mug"}); return err },
		"write": func() error {
			_, err := s.Write(t.Context(), models.Reserve{IdempotencyKey: "k", Lines: []models.Line{{ProductID: "mug", Quantity: 1}}})
			return err
		},
		"health": func() error {
			ctx, cancel := context.WithTimeout(t.Context(), connectTimeout)
			defer cancel()
			return s.Health(ctx).Database
		},
	} {
		began = time.Now()
		require.Equal(t, models.CodeUnavailable, models.CodeOf(ask()), name)
		require.Less(t, time.Since(began), writeWait+busy, name)
	}
	began = time.Now()
	s.Close()
	require.Less(t, time.Since(began), readTimeout+busy, "end")
}
