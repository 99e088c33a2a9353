package readthrough

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/rediscache"
	"onhand/store/storetest"
	"onhand/store/storetest/fixture"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// stackEpoch is the epoch that the database of a stack was in.
type stackEpoch string

func (e stackEpoch) Epoch() string { return string(e) }
func (stackEpoch) Compare(string)  {}

// pausedCache is a cache whose fills wait for a test.
type pausedCache struct {
	*rediscache.Cache
	beforeFill func(ids int) // called with the number of products
}

func (c pausedCache) Fill(ctx context.Context, lease rediscache.Lease, epoch string, stocks []*models.Stock, unknown []string) error {
	c.beforeFill(len(stocks) + len(unknown))
	return c.Cache.Fill(ctx, lease, epoch, stocks, unknown)
}

func newReader(s *fixture.Stack, cache StockCache) *CachedReader {
	meta, _ := s.Database.ReadMeta(context.Background()) // without a database there is nothing to compare
	epoch := stackEpoch(meta.Epoch)
	return NewCachedReader(NewBisector(s.Database, epoch), cache, epoch, nil, slog.New(slog.DiscardHandler))
}

// emptyCache removes everything from Redis.
func emptyCache(t *testing.T, s *fixture.Stack) {
	t.Helper()
	require.NoError(t, s.Redis.FlushAll(t.Context()).Err())
}

func read(t *testing.T, r *CachedReader, id string) *models.Stock {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
	defer cancel()
	stocks, err := r.Stocks(ctx, []string{id})
	require.NoError(t, err)
	return stocks[0]
}

// trips counts the round trips to Redis and the SELECTs of a step.
func trips(s *fixture.Stack, step func()) (redis, selects int64) {
	redisBefore, selectsBefore := s.Cache.Stats().RoundTrips, s.Database.Reads()
	step()
	return s.Cache.Stats().RoundTrips - redisBefore, s.Database.Reads() - selectsBefore
}

// A hundred products cost one round trip from a warm cache. From a cold one they
// cost a pipeline, a lease, a SELECT and a pipeline that fills.
func TestQueryCounts(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		ids := fixture.Numbered(100)
		s.StockUp(t, 5, ids...)
		emptyCache(t, s)
		filling := make(chan int, 8)
		r := newReader(s, pausedCache{s.Cache, func(products int) { filling <- products }})

		before := s.Cache.Stats().RoundTrips
		redis, selects := trips(s, func() {
			stocks, err := r.Stocks(t.Context(), ids)
			require.NoError(t, err)
			require.Len(t, stocks, 100)
			require.Equal(t, models.FromDatabase, stocks[0].Source)
			require.Equal(t, 100, <-filling)
			fixture.Eventually(t, func() bool { return s.Cache.Stats().RoundTrips >= before+3 })
		})
		require.EqualValues(t, 3, redis, "one pipeline to look, one for the lease, one to fill")
		require.EqualValues(t, 1, selects)

		fixture.Eventually(t, func() bool { return read(t, r, ids[99]).Source == models.FromCache })
		redis, selects = trips(s, func() {
			stocks, err := r.Stocks(t.Context(), ids)
			require.NoError(t, err)
			for i, stock := range stocks {
				require.Equal(t, ids[i], stock.ProductID)
				require.Equal(t, models.FromCache, stock.Source)
			}
		})
		require.EqualValues(t, 1, redis)
		require.EqualValues(t, 0, selects)
	})
}

// A burst of requests for one product that Redis does not have becomes one SELECT.
func TestStampede(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 5, "x")
		emptyCache(t, s)
		release := make(chan struct{})
		r := newReader(s, pausedCache{s.Cache, func(int) { <-release }}) // until all have asked
		_, selects := trips(s, func() {
			var wg sync.WaitGroup
			ctx, cancel := context.WithTimeout(t.Context(), fixture.Patience)
			defer cancel()
			for range 100 {
				wg.Go(func() {
					stocks, err := r.Stocks(ctx, []string{"x"})
					if err != nil || stocks[0].Quantity() != 5 {
						t.Error("wrong answer", err)
					}
				})
			}
			wg.Wait()
			close(release)
		})
		require.EqualValues(t, 1, selects)
	})
}

// While a batch fills Redis, others are read, and fill it too.
func TestFillsDelayNobody(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		ids := fixture.Numbered(10)
		s.StockUp(t, 5, ids...)
		emptyCache(t, s)
		filling, release := make(chan struct{}), make(chan struct{})
		var paused atomic.Bool
		r := newReader(s, pausedCache{s.Cache, func(int) {
			if paused.CompareAndSwap(false, true) {
				close(filling)
				<-release
			}
		}})
		require.Equal(t, 5, read(t, r, ids[0]).Quantity())
		<-filling
		for _, id := range ids[1:] {
			require.Equal(t, models.FromDatabase, read(t, r, id).Source)
			fixture.Eventually(t, func() bool { return read(t, r, id).Source == models.FromCache })
		}
		close(release)
		fixture.Eventually(t, func() bool { return read(t, r, ids[0]).Source == models.FromCache })
	})
}

// A fill that is delayed between its SELECT and Redis never overwrites what was
// written meanwhile. This holds also where Redis has lost the newer write, so that
// there is nothing to compare the fill with.
func TestStaleFillLoses(t *testing.T) {
	for name, meanwhile := range map[string]func(*testing.T, *fixture.Stack){
		"redis has the write":  func(*testing.T, *fixture.Stack) {},
		"redis lost the write": emptyCache,
	} {
		t.Run(name, func(t *testing.T) {
			fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
				s.StockUp(t, 5, "x")
				emptyCache(t, s)
				reached, release := make(chan struct{}), make(chan struct{})
				var once sync.Once
				slow := newReader(s, pausedCache{s.Cache, func(int) {
					once.Do(func() {
						close(reached)
						<-release
					})
				}})
				require.Equal(t, 5, read(t, slow, "x").Quantity()) // its fill waits now
				<-reached
				written := s.Write(t, fixture.Receive("k", "x", 2)).Stocks[0]
				meanwhile(t, s)
				fills := s.Cache.Stats().Fills
				close(release)
				fixture.Eventually(t, func() bool { return s.Cache.Stats().Fills > fills })
				fixture.Eventually(t, func() bool { return read(t, slow, "x").Source == models.FromCache })
				require.Equal(t, 7, read(t, slow, "x").Quantity())
				require.Equal(t, written.Version, read(t, slow, "x").Version)
			})
		})
	}
}

// A product that Redis missed a write of is read from the database, by a read of
// its own.
func TestBypassReadsTheDatabase(t *testing.T) {
	fixture.OnEach(t, func(t *testing.T, s *fixture.Stack) {
		s.StockUp(t, 5, "x", "y")
		r := newReader(s, s.Cache)
		require.Equal(t, models.FromCache, read(t, r, "x").Source)
		_, err := s.Database.WriteUnderLock(t.Context(), []models.Write{fixture.Receive("k", "x", 2)}) // Redis misses it
		require.NoError(t, err)
		require.Equal(t, 5, read(t, r, "x").Quantity())
		r.Bypass([]string{"x"})
		require.Equal(t, 7, read(t, r, "x").Quantity())
		require.Equal(t, models.FromCache, read(t, r, "y").Source)
		r.BypassAll(BypassDuration)
		require.Equal(t, models.FromDatabase, read(t, r, "y").Source)
	})
}

// unansweredCache is a Redis that is away.
type unansweredCache struct{}

func (unansweredCache) Get(context.Context, string, []string) ([]rediscache.Entry, error) {
	return nil, rediscache.ErrDown
}

func (unansweredCache) Lease(context.Context, []string) (rediscache.Lease, error) {
	return "", rediscache.ErrDown
}

func (unansweredCache) Fill(context.Context, rediscache.Lease, string, []*models.Stock, []string) error {
	return rediscache.ErrDown
}

// While Redis is away, all products are read from the database, and products that
// cannot be read come as an error beside the others.
func TestReadsWithoutRedis(t *testing.T) {
	t.Parallel()
	source := &poisonSource{poison: []string{"p001"}}
	epochs := &comparedEpochs{}
	r := NewCachedReader(NewBisector(source, epochs), unansweredCache{}, epochs, nil, slog.New(slog.DiscardHandler))
	ids := fixture.Numbered(3)
	stocks, err := r.Stocks(t.Context(), ids)
	require.Equal(t, models.CodeInternal, models.CodeOf(err))
	require.Equal(t, []bool{false, true, false}, slices.Collect(func(yield func(bool) bool) {
		for _, stock := range stocks {
			if !yield(stock == nil) {
				return
			}
		}
	}))

	source.err = errors.New("all rows are poison")
	_, err = r.Fresh(t.Context(), []string{"x"})
	require.Error(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = r.Stocks(ctx, ids)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err), "the caller gave up")
}
