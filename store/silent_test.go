package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/groupcommit"
	"onhand/store/storetest"
	"onhand/store/upkeep"
)

// Both servers take connections and never answer. An instance starts, answers
// UNAVAILABLE within the bounds, and ends.
func TestSilentServers(t *testing.T) {
	t.Parallel()
	const connectTimeout, readTimeout, busy = 2 * time.Second, 3 * time.Second, 2 * time.Second
	s, err := Open(Config{DatabaseURL: "postgres://u@" + storetest.Silent(t) + "/x?sslmode=disable", RedisURL: "redis://" + storetest.Silent(t)})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	began := time.Now()
	require.NoError(t, s.Start())
	require.Less(t, time.Since(began), readTimeout+upkeep.EpochCheckTimeout+busy, "start")

	for name, ask := range map[string]func() error{
		"read": func() error { _, err := s.Stocks(t.Context(), []string{"mug"}); return err },
		"write": func() error {
			_, err := s.Write(t.Context(), models.Reserve{IdempotencyKey: "k", Lines: []models.RequestedLine{{ProductID: "mug", Quantity: 1}}})
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
		require.Less(t, time.Since(began), groupcommit.WaitMax+busy, name)
	}
	began = time.Now()
	s.Close()
	require.Less(t, time.Since(began), readTimeout+busy, "end")
}
