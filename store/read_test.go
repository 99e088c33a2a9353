package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// trips counts what a step costs: round trips to Redis for reading and
// filling, and SELECTs. The relay and the keeper are stopped, so that nobody
// else's are counted.
func trips(s *Store, step func()) (redis, selects int64) {
	redisBefore, selectsBefore := s.cache.Stats().RoundTrips, s.database.Reads()
	step()
	return s.cache.Stats().RoundTrips - redisBefore, s.database.Reads() - selectsBefore
}

// quiet stops what works in the background.
func quiet(t *testing.T, s *Store) {
	t.Helper()
	drained(t, s)
	s.relay.Stop()
	s.stop()
	s.stopped.Wait()
}

// A hundred products cost one round trip from a warm cache, and from a cold
// one a pipeline, a lease, a SELECT and a pipeline that fills.
func TestQueryCounts(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		ids := numbered(100)
		stockUp(t, s, 5, ids...)
		forgetCache(t, s)
		quiet(t, s)
		filled := make(chan struct{}, 8)
		s.beforeFill = func([]string) {
			select {
			case filled <- struct{}{}:
			default: // on a busy machine Redis may take more than one try
			}
		}

		redis, selects := trips(s, func() {
			stocks, err := s.Stocks(t.Context(), ids)
			require.NoError(t, err)
			require.Len(t, stocks, 100)
			require.Equal(t, models.FromDatabase, stocks[0].Source)
			<-filled
			eventually(t, func() bool { return s.cache.Stats().Fills >= 100 })
		})
		require.EqualValues(t, 3, redis, "one pipeline to look, one for the lease, one to fill")
		require.EqualValues(t, 1, selects)

		eventually(t, func() bool { return read(t, s, ids[99]).Source == models.FromCache })
		redis, selects = trips(s, func() {
			stocks, err := s.Stocks(t.Context(), ids)
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

// A burst of requests for one cold product becomes one SELECT.
func TestStampede(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		forgetCache(t, s)
		quiet(t, s)
		release := make(chan struct{})
		s.beforeFill = func([]string) { <-release } // until all have asked
		_, selects := trips(s, func() {
			var wg sync.WaitGroup
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			for range 100 {
				wg.Go(func() {
					stocks, err := s.Stocks(ctx, []string{"x"})
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

// Unknown products are remembered for a moment, and forgotten the moment they
// exist.
func TestUnknownProduct(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		require.Nil(t, read(t, s, "later"))
		eventually(t, func() bool { return s.cache.Stats().Fills > 0 })
		before := s.database.Reads()
		eventually(t, func() bool {
			return read(t, s, "later") == nil && s.cache.Stats().NegativeHits > 0
		})
		require.LessOrEqual(t, s.database.Reads()-before, int64(1))
		stockUp(t, s, 3, "later")
		eventually(t, func() bool { stock := read(t, s, "later"); return stock != nil && stock.Quantity() == 3 })
	})
}

// A fill that was held up between its SELECT and Redis never overwrites what
// was written meanwhile.
func TestStaleFillLoses(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		forgetCache(t, s)
		reached, release := make(chan struct{}), make(chan struct{})
		var once sync.Once
		s.beforeFill = func(ids []string) {
			once.Do(func() {
				close(reached)
				<-release
			})
		}
		require.Equal(t, 5, read(t, s, "x").Quantity()) // its fill now waits
		<-reached
		write(t, s, receive("k", "x", 2))
		written := read(t, s, "x")
		require.Equal(t, 7, written.Quantity())
		fills := s.cache.Stats().Fills
		close(release)
		eventually(t, func() bool { return s.cache.Stats().Fills > fills })
		eventually(t, func() bool { return read(t, s, "x").Source == models.FromCache })
		require.Equal(t, 7, read(t, s, "x").Quantity())
		require.Equal(t, written.Version, read(t, s, "x").Version)
	})
}

// The same, and Redis lost the newer write meanwhile: there is nothing to
// compare the fill with, and still it does not bring the old value back.
func TestStaleFillAfterAFlushLoses(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 5, "x")
		forgetCache(t, s)
		reached, release, filling := make(chan struct{}), make(chan struct{}), make(chan struct{}, 100)
		var once sync.Once
		s.beforeFill = func([]string) {
			once.Do(func() {
				close(reached)
				<-release
			})
			filling <- struct{}{}
		}
		require.Equal(t, 5, read(t, s, "x").Quantity()) // its fill now waits
		<-reached
		write(t, s, receive("k", "x", 2))
		forgetCache(t, s)
		close(release)
		<-filling
		eventually(t, func() bool { st := read(t, s, "x"); return st.Source == models.FromCache })
		require.Equal(t, 7, read(t, s, "x").Quantity())
	})
}

// Whoever writes reads his own write, also when Redis does not know it yet.
func TestReadYourWrites(t *testing.T) {
	onEach(t, func(t *testing.T, s *Store) {
		stockUp(t, s, 0, "x")
		for i := range 50 {
			write(t, s, receive(fmt.Sprint("k", i), "x", 1))
			require.Equal(t, i+1, read(t, s, "x").Quantity())
		}
	})
}

// A caller that gives up leaves at once; the others of its batch get their
// answer.
func TestBatcherContexts(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	flights := make(chan []string, 10)
	b := &batcher[string]{flightsMax: 1, batchMax: 10, waitingMax: 2, fly: func(_ context.Context, ids []string, land func([]string, error)) {
		flights <- ids
		<-release
		land(ids, nil)
	}}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() { _, err := b.load(ctx, []string{"x"}); gone <- err }()
	require.Equal(t, []string{"x"}, <-flights)
	cancel()
	require.ErrorIs(t, <-gone, context.Canceled)

	got := make(chan []string)
	go func() { v, _ := b.load(t.Context(), []string{"x", "y", "x"}); got <- v }()
	eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.waiting) == 1 })
	close(release)
	require.Equal(t, []string{"x", "y", "x"}, <-got)
	require.Equal(t, []string{"x", "y"}, <-flights, "a repeated id is asked for once")
}

// Who looked into Redis before a flight had filled it, and asks when the flight
// is over, is answered by that flight; who looked later, or wants a read of his
// own, is not; nor is anybody by one that failed.
func TestBatcherJoinsWhatHasJustLanded(t *testing.T) {
	t.Parallel()
	flights := 0
	b := &batcher[int]{flightsMax: 1, batchMax: 10, waitingMax: 2, fly: func(_ context.Context, ids []string, land func([]int, error)) {
		flights++
		if ids[0] == "broken" {
			land(nil, errors.New("no"))
			return
		}
		land(slices.Repeat([]int{flights}, len(ids)), nil)
	}}
	over := func(n uint64) {
		eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.over == n })
	}
	ask := func(want int, read func(context.Context, []string) ([]int, error), ids ...string) {
		t.Helper()
		got, err := read(t.Context(), ids)
		require.NoError(t, err)
		require.Equal(t, slices.Repeat([]int{want}, len(ids)), got)
	}
	joining := func(since ticket) func(context.Context, []string) ([]int, error) {
		return func(ctx context.Context, ids []string) ([]int, error) { return b.join(ctx, ids, since) }
	}
	before := b.now()
	ask(1, b.load, "x", "y")
	over(1)
	after := b.now()
	ask(1, joining(before), "y", "x")
	ask(2, joining(before), "z")
	over(2)
	ask(3, b.load, "x")
	over(3)
	ask(3, joining(after), "x")
	ask(4, joining(b.now()), "x")
	over(4)

	before = b.now()
	_, err := b.load(t.Context(), []string{"broken"})
	require.Error(t, err)
	over(5)
	_, err = b.join(t.Context(), []string{"broken"}, before)
	require.Error(t, err)
	over(6)

	before = b.now()
	for n := range recentMax {
		ask(7+n, b.load, "x")
		over(uint64(7 + n))
	}
	ask(7+recentMax, b.load, "y")
	over(uint64(7 + recentMax))
	require.Len(t, b.recent, recentMax, "no more is remembered")
	ask(6+recentMax, joining(before), "x")
}

// A line that is full refuses instead of growing, and a flight that panics or
// never lands is an error, not a hang.
func TestBatcherBounds(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := &batcher[string]{flightsMax: 1, batchMax: 2, waitingMax: 1, fly: func(_ context.Context, ids []string, land func([]string, error)) {
		<-release
		if ids[0] == "panic" {
			panic("oh")
		}
		if ids[0] == "error" {
			land(nil, errors.New("no"))
		}
	}}
	results := make(chan error, 2)
	go func() { _, err := b.load(t.Context(), []string{"panic"}); results <- err }()
	eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return b.flights == 1 })
	go func() { _, err := b.load(t.Context(), []string{"error", "two"}); results <- err }()
	eventually(t, func() bool { b.mu.Lock(); defer b.mu.Unlock(); return len(b.waiting) == 1 })
	_, err := b.load(t.Context(), []string{"three"})
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	close(release)
	require.Error(t, <-results)
	require.Error(t, <-results)
	_, err = b.load(t.Context(), []string{"never lands"})
	require.Error(t, err)
}
