package store

import (
	"fmt"
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
	of := func(id string, now time.Time) bool { return d.among([]string{"other", id}, now)[id] }
	require.False(t, of("x", now))
	d.add([]string{"x"}, now)
	require.True(t, of("x", now))
	require.False(t, of("y", now))
	d.add([]string{"z"}, now.Add(time.Second))
	require.False(t, of("x", now.Add(distrustFor)))
	require.True(t, of("z", now.Add(distrustFor)))
	require.False(t, of("z", now.Add(distrustFor+time.Second)))
	d.add([]string{"later"}, now.Add(time.Minute))
	require.Len(t, d.until, 1, "what is over is forgotten")
	d.add(make([]string, distrustedMax+1), now)
	require.True(t, of("y", now), "too many to name")
	require.False(t, of("y", now.Add(distrustFor)))
}

// A read costs what it asks for, however many products are distrusted: ten
// thousand reads beside ten thousand distrusted products take no time.
func TestDistrustIsCheap(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var d distrust
	ids := make([]string, distrustedMax)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	d.add(ids, now)
	perRead := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			d.among([]string{"x"}, now)
		}
	}).NsPerOp()
	require.Less(t, perRead, int64(20_000), "looking through all would take some 100 µs")
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
