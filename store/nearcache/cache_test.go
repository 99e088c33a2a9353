package nearcache

import (
	"context"
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/poison"
)

// The first read asks Redis, the second one asks nobody.
func TestHit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.expect("x", 1, models.FromCache)
	b.expect("x", 1, models.FromNearCache)
	require.Len(t, b.shared.asked, 1)
	stats := b.Stats()
	require.EqualValues(t, []int64{1, 1, 1, 1}, []int64{stats.Hits, stats.Misses, stats.Fills, stats.Entries})
	require.True(t, stats.Fresh)
}

// A read asks for what is missing only, and answers in the order of the ids. Unknown
// products are asked for every time.
func TestPartialMiss(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1), stockAt("y", 2), stockAt("z", 3))
	b.read("y")
	for range 2 {
		stocks, err := b.Stocks(t.Context(), []string{"x", "y", "none", "z", "x"})
		require.NoError(t, err)
		require.Nil(t, stocks[2])
		for i, version := range map[int]int64{0: 1, 1: 2, 3: 3, 4: 1} {
			require.Equal(t, version, stocks[i].Version)
		}
	}
	require.Equal(t, [][]string{{"y"}, {"x", "none", "z", "x"}, {"none"}}, b.shared.asked)
}

// The error of a partial miss is the answer; where the shared reader has some of the
// products, they are answered too.
func TestErrors(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1), stockAt("bad", 1), stockAt("y", 1))
	b.read("x")
	b.read("bad")
	b.pass(2 * entryAgeMax)
	b.pong(b.now)
	b.read("x")
	b.shared.err = &poison.RowsError{Causes: map[string]error{"bad": errors.New("broken")}}
	delete(b.shared.stocks, "bad")
	stocks, err := b.Stocks(t.Context(), []string{"x", "bad", "y"})
	require.ErrorIs(t, err, b.shared.err)
	require.Equal(t, models.FromNearCache, stocks[0].Source)
	require.Nil(t, stocks[1])
	require.NotNil(t, stocks[2])
	require.EqualValues(t, 1, b.Stats().Drops["poison"])
}

// What changed while the value was read does not enter the cache.
func TestFillRaces(t *testing.T) {
	t.Parallel()
	newer, foreign := stockAt("x", 2), stockAt("x", 1)
	foreign.Epoch = "lost"
	for name, during := range map[string]func(*bench){
		"a message":                 func(b *bench) { b.publish(newer) },
		"an older message":          func(b *bench) { b.publish(stockAt("x", 0)) },
		"an empty message":          func(b *bench) { b.message("x", "") },
		"a commit of this instance": func(b *bench) { b.Deliver([]*models.Stock{newer}) },
		"a commit that Redis missed": func(b *bench) {
			b.Bypass([]string{"x"})
		},
		"a lost feed":        func(b *bench) { b.closed() },
		"a reconnected feed": func(b *bench) { b.closed(); b.open() },
		"another epoch":      func(b *bench) { b.epochs.set("f"); b.current() },
		"there and back":     func(b *bench) { b.epochs.set("f"); b.current(); b.epochs.set("e"); b.current() },
		"a bypass of all":    func(b *bench) { b.BypassAll(time.Second) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.shared.put(stockAt("x", 1))
			b.shared.during = func() { during(b) }
			b.expect("x", 1, models.FromCache)
			b.shared.during = nil
			if b.feed.sessions.Load() != nil {
				b.pong(b.now)
			}
			require.NotEqual(t, models.FromNearCache, b.read("x").Source)
		})
	}
}

// A value of the database is not put in: its read may have begun before this one. It
// does replace an older entry.
func TestDatabaseValues(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	stored := stockAt("x", 1)
	stored.Source = models.FromDatabase
	b.shared.put(stored)
	b.expect("x", 1, models.FromDatabase)
	b.expect("x", 1, models.FromDatabase)
	b.shared.put(stockAt("x", 1))
	b.read("x")
	later := stockAt("x", 2)
	later.Source = models.FromDatabase
	b.shared.put(later)
	b.pass(freshMax) // the feed is late, so the shared reader is asked
	b.expect("x", 2, models.FromDatabase)
	b.pong(b.now)
	b.expect("x", 2, models.FromNearCache)
}

// Newer versions replace an entry, older and equal ones do not, and doubt drops it.
func TestChanges(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 5), stockAt("y", 5))
	b.read("x")
	b.read("y")
	b.publish(stockAt("x", 6))
	b.expect("x", 6, models.FromNearCache)
	b.publish(stockAt("x", 4))
	b.expect("x", 6, models.FromNearCache)
	committed := stockAt("x", 7)
	committed.Source = models.FromDatabase
	b.Deliver([]*models.Stock{nil, committed, stockAt("unknown", 1)})
	b.expect("x", 7, models.FromNearCache)
	require.Equal(t, models.FromDatabase, committed.Source, "others share it")
	b.Deliver([]*models.Stock{stockAt("x", 6)})
	b.expect("x", 7, models.FromNearCache)
	many := stockAt("x", 8)
	for i := range 50 {
		many.Levels = append(many.Levels, models.Level{ProductID: "x", LocationID: strconv.Itoa(i)})
	}
	weight := b.Stats().Bytes
	b.publish(many)
	b.expect("x", 8, models.FromNearCache)
	b.entries.CleanUp()
	require.Greater(t, b.Stats().Bytes, weight, "weighed again")
	b.publish(stockAt("x", 9))
	b.expect("x", 9, models.FromNearCache)
	require.Len(t, b.shared.asked, 2)

	foreign := stockAt("x", 10)
	foreign.Epoch = "f"
	b.publish(foreign)
	b.expect("x", 5, models.FromCache)
	for _, payload := range []string{"", "{}", "[", `{"product_id":"x","quantity":1,"version":99,"epoch":"e"}`} {
		b.expect("x", 5, models.FromNearCache)
		b.message("x", payload)
		b.expect("x", 5, models.FromCache)
	}
	other := stockAt("y", 6)
	b.message("x", (encoded(other)))
	b.expect("x", 5, models.FromCache)
	b.expect("y", 5, models.FromNearCache)
	b.Bypass([]string{"x"})
	require.Equal(t, []string{"x"}, b.shared.bypassed)
	b.expect("x", 5, models.FromCache)
	require.Equal(t, map[string]int64{"evicted": 0, "disconnected": 0, "epoch": 1, "bypass": 0, "unpublished": 1, "poison": 0, "unreadable": 5}, b.Stats().Drops)
}

// An entry is served only while a ping that was sent less than freshMax ago was
// answered. The read itself looks at the clocks, so that a process that was stopped, or
// a machine that was suspended, serves nothing.
func TestFreshness(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.read("x")
	b.pass(freshMax - 1)
	b.expect("x", 1, models.FromNearCache)
	b.pass(1)
	b.expect("x", 1, models.FromCache)
	sent := b.now
	b.pass(freshMax)
	b.pong(sent) // the answer comes late: it says nothing about now
	b.expect("x", 1, models.FromCache)
	b.pong(b.now)
	b.expect("x", 1, models.FromNearCache)
	b.now.wall += int64(freshMax) // suspended: the monotonic clock stood still
	b.expect("x", 1, models.FromCache)
	b.now.wall -= int64(2 * time.Hour) // set back
	b.expect("x", 1, models.FromCache)
	require.False(t, b.Stats().Fresh)
	b.pong(b.now)
	b.expect("x", 1, models.FromNearCache)
}

// With several masters the feed of each must be fresh.
func TestFreshnessOfAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.read("x")
	other := &feedSession{feed: b.feed}
	b.feed.sessions.Store(&[]*feedSession{(*b.feed.sessions.Load())[0], other})
	b.expect("x", 1, models.FromCache)
	other.answered.Store(&b.now)
	b.expect("x", 1, models.FromNearCache)
}

// A lost feed, another epoch and a bypass of all products drop everything.
func TestResets(t *testing.T) {
	t.Parallel()
	for name, reset := range map[string]func(*bench){
		"disconnected": func(b *bench) { b.closed(); b.open() },
		"bypass":       func(b *bench) { b.BypassAll(time.Second) },
		"epoch":        func(b *bench) { b.epochs.set("f"); b.read("x"); b.epochs.set("e"); b.read("x") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.shared.put(stockAt("x", 1))
			b.read("x")
			b.expect("x", 1, models.FromNearCache)
			reset(b)
			b.expect("x", 1, models.FromCache)
			b.expect("x", 1, models.FromNearCache)
			require.EqualValues(t, 1, b.Stats().Drops[name])
		})
	}
}

// Without a feed nothing is served, and nothing enters.
func TestNoFeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.closed()
	b.feed.sessions.Store(nil)
	b.expect("x", 1, models.FromCache)
	b.expect("x", 1, models.FromCache)
	b.publish(stockAt("x", 2))
	require.Zero(t, b.Stats().Entries)
}

// An entry is read again after a while.
func TestAge(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.read("x")
	b.pass(entryAgeMax * 8 / 10)
	b.pong(b.now)
	b.expect("x", 1, models.FromNearCache)
	b.pass(entryAgeMax * 2 / 10)
	b.pong(b.now)
	b.expect("x", 1, models.FromCache)
	b.expect("x", 1, models.FromNearCache)
}

// Shared reads past the near cache, and brings what it finds.
func TestShared(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.shared.put(stockAt("x", 1))
	b.read("x")
	b.shared.put(stockAt("x", 2))
	stock, err := b.Shared(t.Context(), "x")
	require.NoError(t, err)
	require.EqualValues(t, 2, stock.Version)
	b.expect("x", 2, models.FromNearCache)
	stock, err = b.Shared(t.Context(), "none")
	require.NoError(t, err)
	require.Nil(t, stock)
}

// Off: every call is passed on.
func TestOff(t *testing.T) {
	t.Parallel()
	shared := &fakeShared{stocks: map[string]*models.Stock{"x": stockAt("x", 1)}}
	c := NewNearCache(NearCacheConfig{Shared: shared, Epochs: &fakeEpochs{epoch: "e"}})
	c.Start(t.Context())
	defer c.Stop()
	for range 2 {
		stocks, err := c.Stocks(t.Context(), []string{"x"})
		require.NoError(t, err)
		require.Same(t, shared.stocks["x"], stocks[0])
	}
	c.Deliver([]*models.Stock{stockAt("x", 2)})
	c.Bypass([]string{"x"})
	c.BypassAll(time.Second)
	require.Equal(t, []string{"x", "*"}, shared.bypassed)
	require.Zero(t, c.Stats().Entries)
	_, err := c.Shared(t.Context(), "x")
	require.NoError(t, err)
}

// A hit allocates the result only.
func TestHitAllocations(t *testing.T) {
	b := newBench(t)
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
		b.shared.put(stockAt(ids[i], 1))
	}
	_, _ = b.Stocks(context.Background(), ids)
	require.LessOrEqual(t, testing.AllocsPerRun(200, func() {
		if stocks, _ := b.Stocks(context.Background(), ids); stocks[19].Source != models.FromNearCache {
			t.Error("not a hit")
		}
	}), 1.1) // the library drains its buffers now and then
}

func BenchmarkHit20(b *testing.B) {
	bench := newBench(b)
	ids := make([]string, 20)
	for i := range ids {
		ids[i] = "product-" + strconv.Itoa(i)
		bench.shared.put(stockAt(ids[i], 1))
	}
	ctx := b.Context()
	_, _ = bench.Stocks(ctx, ids)
	bench.clock = machineClock()
	bench.pong(bench.clock())
	sent := bench.clock()
	sent.monotonic += int64(time.Hour)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; b.Loop(); i++ {
		if i%1000 == 0 {
			bench.pong(bench.clock())
		}
		if stocks, _ := bench.Stocks(ctx, ids); stocks[0].Source != models.FromNearCache {
			b.Fatal("not a hit")
		}
	}
}

// BenchmarkMessage: a message of a product that is not here, of one that has the
// version, and of one that gets it.
func BenchmarkMessage(b *testing.B) {
	bench := newBench(b)
	bench.shared.put(stockAt("x", 1))
	bench.read("x")
	absent, same := (encoded(stockAt("y", 1))), (encoded(stockAt("x", 1)))
	b.Run("absent", func(b *testing.B) {
		for b.Loop() {
			bench.message("y", absent)
		}
	})
	b.Run("echo", func(b *testing.B) {
		for b.Loop() {
			bench.message("x", same)
		}
	})
	b.Run("newer", func(b *testing.B) {
		payloads := make([]string, 1000)
		version := int64(2)
		for b.Loop() {
			b.StopTimer()
			for i := range payloads {
				payloads[i] = (encoded(stockAt("x", version)))
				version++
			}
			b.StartTimer()
			for _, payload := range payloads {
				bench.message("x", payload)
			}
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(version-2), "ns/message")
	})
}
