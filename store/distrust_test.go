package store

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest"
)

// A change that Redis did not take in time is read from the database until it
// did: whoever was told of a write also reads it.
func TestDistrust(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var d distrust
	require.False(t, d.of("x", now))
	d.add([]string{"x"}, now)
	require.True(t, d.of("x", now))
	require.False(t, d.of("y", now))
	require.False(t, d.of("x", now.Add(distrustFor)))
	require.False(t, d.some.Load(), "forgotten")
	d.add(make([]string, distrustedMax+1), now)
	require.True(t, d.of("y", now), "too many to name")
	require.False(t, d.of("y", now.Add(distrustFor)))
}

// The cache holds an old value, the write that should have replaced it failed:
// the writer still reads his own.
func TestReadYourWritePastAFailedApply(t *testing.T) {
	t.Parallel()
	s := open(t, Config{DatabaseURL: "sqlite::memory:", RedisURL: storetest.Redis(t).URL()})
	stockUp(t, s, 5, "x")
	eventually(t, func() bool { return read(t, s, "x").Source == models.FromCache })
	quiet(t, s) // no relay mends it
	require.NoError(t, s.clients[0].ConfigSet(t.Context(), "min-replicas-to-write", "1").Err())
	write(t, s, receive("k", "x", 2))
	require.Equal(t, "5", s.clients[0].HGet(t.Context(), s.cache.Keys().Stock("x"), "quantity").Val(), "Redis was not told")
	require.Equal(t, 7, read(t, s, "x").Quantity())
}
