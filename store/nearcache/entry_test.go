package nearcache

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/channel"
	"onhand/models/stockbinary"
)

// full is a stock with every field, whose texts are parts of one large one.
func full(id string, levels int) *models.Stock {
	large := strings.Repeat("-", 1<<10) + id + "|Title of " + id + "|location-of-" + id
	parts := strings.Split(large[1<<10:], "|")
	limit, most, at := 7, 9, time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)
	s := stockAt(parts[0], 3)
	s.Title, s.BackorderLimit, s.MaxPerReservation, s.NextRestockAt = &parts[1], &limit, &most, &at
	s.MaxPerOwner, s.OwnerPeriod = new(2), new(3600)
	s.Buffers = channel.Buffers{"web": 3}
	s.Levels = make([]models.Level, levels)
	for i := range s.Levels {
		s.Levels[i] = models.Level{ProductID: parts[0], LocationID: parts[2], Active: true, Quantities: models.Quantities{Available: i}}
	}
	return s
}

// An entry has the same content as the stock, and none of its memory.
func TestOwned(t *testing.T) {
	t.Parallel()
	s := full("x", 3)
	kept, weight := owned(s, nil, "e")
	require.Equal(t, models.FromNearCache, kept.Source)
	require.True(t, stockbinary.Equal(s, kept))
	require.NotZero(t, weight)
	same := func(a, b string) bool { return unsafe.StringData(a) == unsafe.StringData(b) }
	require.False(t, same(s.ProductID, kept.ProductID))
	require.False(t, same(*s.Title, *kept.Title))
	require.False(t, same(s.Levels[0].LocationID, kept.Levels[0].LocationID))
	require.NotSame(t, s.Title, kept.Title)
	require.NotSame(t, s.BackorderLimit, kept.BackorderLimit)
	require.NotSame(t, s.MaxPerReservation, kept.MaxPerReservation)
	require.NotSame(t, s.MaxPerOwner, kept.MaxPerOwner)
	require.NotSame(t, s.OwnerPeriod, kept.OwnerPeriod)
	require.NotSame(t, s.NextRestockAt, kept.NextRestockAt)

	again, _ := owned(full("x", 3), kept, "e")
	require.True(t, stockbinary.Equal(kept, again))
	require.True(t, same(again.ProductID, kept.ProductID), "the next version shares the texts")
	require.True(t, same(*again.Title, *kept.Title))
	require.True(t, same(again.Levels[0].LocationID, kept.Levels[0].LocationID))
	bare, _ := owned(stockAt("x", 4), again, "e")
	require.True(t, stockbinary.Equal(stockAt("x", 4), bare))
}

// The entries take no more memory than they weigh, and no more than the bound.
func TestWeight(t *testing.T) {
	for _, levels := range []int{0, 1, 3, 40} {
		t.Run(fmt.Sprint(levels, " levels"), func(t *testing.T) {
			const bound = 8 << 20
			b := newBench(t)
			b.entries.SetMaximum(bound)
			current := b.current()
			heap := func() int64 {
				var stats runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&stats)
				return int64(stats.HeapAlloc)
			}
			fill := func(from, to int) {
				for i := from; i < to; i++ {
					id := "product-" + strconv.Itoa(i)
					ticket := b.stripe(id).changes
					b.keep(current, ticket, full(id, levels))
				}
				b.entries.CleanUp()
			}
			before := heap()
			some := 4 << 20 / (1000 + 150*levels)
			fill(0, some)
			require.EqualValues(t, some, b.Stats().Entries)
			require.LessOrEqual(t, heap()-before, b.Stats().Bytes)
			require.Greater(t, 2*(heap()-before), b.Stats().Bytes, "and not much less")
			fill(some, 10*some)
			require.LessOrEqual(t, b.Stats().Bytes, int64(bound))
			require.Greater(t, b.Stats().Bytes, int64(bound)*8/10)
			require.LessOrEqual(t, heap()-before, int64(bound))
			require.Positive(t, b.Stats().Drops["evicted"])
			runtime.KeepAlive(b)
		})
	}
}

// A scan of products that are read once does not flush those that are read often.
func TestScan(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hot := make([]string, 200)
	for i := range hot {
		hot[i] = "hot-" + strconv.Itoa(i)
		b.shared.put(stockAt(hot[i], 1))
	}
	for range 20 {
		_, err := b.Stocks(t.Context(), hot)
		require.NoError(t, err)
	}
	for i := range 50_000 {
		id := "cold-" + strconv.Itoa(i)
		b.shared.put(stockAt(id, 1))
		b.read(id)
		delete(b.shared.stocks, id)
		if i%10 == 0 { // each hot one comes after more products than there is room for
			b.read(hot[i/10%len(hot)])
		}
	}
	b.entries.CleanUp()
	hits := 0
	stocks, err := b.Stocks(t.Context(), hot)
	require.NoError(t, err)
	for _, s := range stocks {
		if s.Source == models.FromNearCache {
			hits++
		}
	}
	require.Greater(t, hits, len(hot)/2)
}

// A full cache takes one in four of the values that were read, and one that is not full
// takes all. A product that is there is refreshed always.
func TestFull(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	fills := func(prefix string, n int) int64 {
		before := b.Stats().Fills
		for i := range n {
			id := prefix + strconv.Itoa(i)
			b.shared.put(stockAt(id, 1))
			b.read(id)
			b.entries.CleanUp()
		}
		return b.Stats().Fills - before
	}
	require.EqualValues(t, 1000, fills("first", 1000))
	fills("more", 1000)
	require.Positive(t, b.Stats().Drops["evicted"])
	require.InDelta(t, 4000/fullFills, fills("late", 4000), 300)
	b.shared.put(stockAt("hot", 1))
	eventually(t, func() bool { return b.read("hot").Source == models.FromNearCache })
	b.pass(entryAgeMax)
	b.pong(b.now)
	b.expect("hot", 1, models.FromCache)
	b.expect("hot", 1, models.FromNearCache)
	b.BypassAll(time.Second)
	require.EqualValues(t, 100, fills("again", 100))
}
