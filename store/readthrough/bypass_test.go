package readthrough

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A product is bypassed until its time is over. A list that has ended is dropped,
// and too many products at once bypass the cache for all.
func TestCacheBypass(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b cacheBypass
	bypassed := func(id string, now time.Time) bool { return b.among([]string{"other", id}, now)[id] }
	require.False(t, bypassed("x", now))
	b.add([]string{"x"}, now)
	require.True(t, bypassed("x", now))
	require.False(t, bypassed("y", now))
	b.add([]string{"z"}, now.Add(time.Second))
	require.False(t, bypassed("x", now.Add(BypassDuration)))
	require.True(t, bypassed("z", now.Add(BypassDuration)))
	require.False(t, bypassed("z", now.Add(BypassDuration+time.Second)))
	b.add([]string{"later"}, now.Add(time.Minute))
	require.Len(t, b.ends, 1, "ended ones are dropped")
	b.add(make([]string, bypassedMax+1), now)
	require.True(t, bypassed("y", now), "too many to list one by one")
	require.False(t, bypassed("y", now.Add(BypassDuration)))
}

// All products are bypassed for as long as is asked, and a shorter bypass of some
// does not end it.
func TestCacheBypassOfAll(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b cacheBypass
	b.addAll(now, time.Minute)
	b.add([]string{"x"}, now)
	require.True(t, b.among([]string{"y"}, now.Add(time.Minute-1))["y"])
	require.Nil(t, b.among([]string{"y"}, now.Add(time.Minute)))
}

// The cost of a read depends on what it asks for, however many products are
// bypassed.
func TestCacheBypassIsCheap(t *testing.T) {
	t.Parallel()
	now := time.Now()
	var b cacheBypass
	ids := make([]string, bypassedMax)
	for i := range ids {
		ids[i] = fmt.Sprint(i)
	}
	b.add(ids, now)
	perRead := testing.Benchmark(func(bench *testing.B) {
		for bench.Loop() {
			b.among([]string{"x"}, now)
		}
	}).NsPerOp()
	require.Less(t, perRead, int64(20_000), "to search all would take some 100 µs")
}
