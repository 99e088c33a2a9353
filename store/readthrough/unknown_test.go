package readthrough

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/store/storetest/fixture"
)

// newKnowingReader is a reader that knows the products which are in the database now.
func newKnowingReader(t testing.TB, s *fixture.Stack) *CachedReader {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	known := NewKnownIDs(s.Database, log)
	known.Update(t.Context())
	require.NotNil(t, known.filter.Load())
	epoch := stackEpoch(s.Epoch(t))
	return NewCachedReader(NewBisector(s.Database, epoch), s.Cache, epoch, known, log)
}

func madeUp() string { return fmt.Sprintf("made-up-%x", rand.Uint64()) }

// TestFilter: it has what was added, and seldom anything else.
func TestFilter(t *testing.T) {
	t.Parallel()
	const n = 100_000
	known := NewKnownIDs(nil, nil)
	known.filter.Store(newIDFilter(n))
	for i := range n {
		known.Add(fmt.Sprint("p", i))
	}
	wrong := 0
	for i := range n {
		require.Empty(t, known.unknown([]string{fmt.Sprint("p", i)}))
		wrong += 1 - len(known.unknown([]string{fmt.Sprint("x", i)}))
	}
	assert.Less(t, wrong, n/200)
	assert.False(t, known.filter.Load().full())
}

// failingIDs lists products, in pages, after some failures.
type failingIDs struct {
	failures int
	ids      []string
}

func (f *failingIDs) ProductIDs(_ context.Context, after string, limit int) (page []string, err error) {
	if f.failures--; f.failures >= 0 {
		return nil, errors.New("no database")
	}
	for _, id := range f.ids {
		if id > after && len(page) < limit {
			page = append(page, id)
		}
	}
	return page, nil
}

// TestKnownIDs: until the products are listed every id counts as known. The filter grows
// with the catalogue.
func TestKnownIDs(t *testing.T) {
	t.Parallel()
	source := &failingIDs{failures: 1}
	for i := range 2*knownPage + 1 {
		source.ids = append(source.ids, fmt.Sprintf("p%06d", i))
	}
	known := NewKnownIDs(source, slog.New(slog.DiscardHandler))
	known.Add("early")
	known.Update(t.Context())
	assert.Empty(t, known.unknown([]string{"x"}))
	known.Update(t.Context())
	assert.Equal(t, []int{0, 2}, known.unknown([]string{"x", "p000000", "y", source.ids[2*knownPage]}))
	known.Add("x")
	assert.Equal(t, []int{2}, known.unknown([]string{"x", "p000000", "y"}))
	size := len(known.filter.Load().words)
	for i := range 3 * knownRoom * knownPage {
		known.Add(fmt.Sprint("new", i))
	}
	known.Update(t.Context())
	assert.Len(t, known.filter.Load().words, size, "of the products that the database has")
}

// TestUnknownIDs: an unknown id costs one SELECT, and nothing of Redis. One that is asked
// for again gets a negative entry. A product that the instance has not heard of is found
// at once, and takes the usual way from then on.
func TestUnknownIDs(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 5, "a", "b")
		r := newKnowingReader(t, s)
		emptyCache(t, s)
		ask := func() (redis, selects int64) {
			return trips(s, func() {
				stocks, err := r.Stocks(t.Context(), []string{"ghost"})
				require.NoError(t, err)
				require.Nil(t, stocks[0])
			})
		}
		redis, selects := ask()
		assert.EqualValues(t, 0, redis)
		assert.EqualValues(t, 1, selects)
		assert.EqualValues(t, 1, r.UnknownReads())
		fixture.Eventually(t, func() bool { // the fill follows the answer
			_, selects := ask()
			return selects == 0
		})
		assert.EqualValues(t, 1, r.UnknownReads())

		s.StockUp(t, 7, "made-elsewhere")
		emptyCache(t, s)
		stocks, err := r.Stocks(t.Context(), []string{"x", "a", "made-elsewhere", "b", "y", "made-elsewhere"})
		require.NoError(t, err)
		for i, want := range []int{0, 5, 7, 5, 0, 7} {
			if want == 0 {
				assert.Nil(t, stocks[i])
				continue
			}
			assert.EqualValues(t, want, stocks[i].Quantity())
		}
		before := r.UnknownReads()
		fixture.Eventually(t, func() bool { return read(t, r, "made-elsewhere").Source == "CACHE" })
		assert.Equal(t, before, r.UnknownReads())
	})
}

// TestFloodOfUnknownIDs: made-up ids at full speed write next to nothing to Redis and
// leave the database to others: products are read meanwhile, a new one at once.
func TestFloodOfUnknownIDs(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 5, fixture.Numbered(50)...)
		r := newKnowingReader(t, s)
		emptyCache(t, s)
		ctx, stop := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		var refused atomic.Int64
		for range 16 {
			flood.Go(func() {
				for ctx.Err() == nil {
					ids := make([]string, 100)
					for i := range ids {
						ids[i] = madeUp()
					}
					if _, err := r.Stocks(ctx, ids); err != nil {
						refused.Add(1)
					}
				}
			})
		}
		selects := s.Database.Reads()
		began := time.Now()
		for i, id := range fixture.Numbered(50) {
			require.NotNil(t, read(t, r, id))
			made := fmt.Sprint("new", i)
			s.StockUp(t, 3, made)
			require.NotNil(t, read(t, r, made))
		}
		elapsed := time.Since(began)
		stop()
		flood.Wait()
		assert.Greater(t, r.UnknownReads(), int64(500), "it was a flood")
		keys, err := s.Redis.DBSize(context.Background()).Result()
		require.NoError(t, err)
		assert.Less(t, keys, int64(100+float64(r.UnknownReads())/50), "of %d ids", r.UnknownReads())
		t.Logf("%d unknown ids, %d refused requests, %d SELECTs, %d keys in %s", r.UnknownReads(), refused.Load(), s.Database.Reads()-selects, keys, elapsed)
	})
}

// TestRoomForNegativeEntries: ids that are asked for again and again get no more entries
// than there is room for.
func TestRoomForNegativeEntries(t *testing.T) {
	s := fixture.Postgres(t)
	s.StockUp(t, 5, "a")
	r := newKnowingReader(t, s)
	ids := fixture.Numbered(4 * negativesPerSecond)
	for i := range ids {
		ids[i] = "ghost" + ids[i]
	}
	emptyCache(t, s)
	began := time.Now()
	for range 2 {
		for first := 0; first < len(ids); first += 250 {
			_, err := r.Stocks(t.Context(), ids[first:first+250])
			require.NoError(t, err)
		}
	}
	room := negativesPerSecond * (1 + time.Since(began).Seconds())
	keys, err := s.Redis.DBSize(t.Context()).Result()
	require.NoError(t, err)
	assert.Less(t, float64(keys), room+100)
}
