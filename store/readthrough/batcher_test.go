package readthrough

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/storetest/fixture"
)

// A caller that gives up leaves at once. The other callers of its batch get their
// answer, and an id that is named twice is read once.
func TestBatcherContexts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		batches := make(chan []string, 10)
		b := &batcher[string]{inFlightMax: 1, idsMax: 10, waitingMax: 2, read: func(_ context.Context, ids []string, answer func([]string, error)) {
			batches <- ids
			<-release
			answer(ids, nil)
		}}
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() { _, err := b.load(ctx, []string{"x"}); gaveUp <- err }()
		require.Equal(t, []string{"x"}, <-batches)
		cancel()
		require.ErrorIs(t, <-gaveUp, context.Canceled)

		got := make(chan []string)
		go func() { v, _ := b.load(t.Context(), []string{"x", "y", "x"}); got <- v }()
		synctest.Wait()
		require.Len(t, b.waiting, 1)
		close(release)
		require.Equal(t, []string{"x", "y", "x"}, <-got)
		require.Equal(t, []string{"x", "y"}, <-batches)
	})
}

// A caller that looked into Redis before a batch had filled it, and that asks when
// the batch is finished, is answered by that batch. A caller that looked later, or
// that wants a read of its own, is not. A failed batch answers no later caller.
func TestBatcherJoinsWhatHasJustFinished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		b := &batcher[int]{inFlightMax: 1, idsMax: 10, waitingMax: 2, read: func(_ context.Context, ids []string, answer func([]int, error)) {
			reads++
			if ids[0] == "broken" {
				answer(nil, errors.New("no"))
				return
			}
			answer(slices.Repeat([]int{reads}, len(ids)), nil)
		}}
		load := func(want int, ids ...string) {
			t.Helper()
			got, err := b.load(t.Context(), ids)
			require.NoError(t, err)
			require.Equal(t, slices.Repeat([]int{want}, len(ids)), got)
			synctest.Wait() // until it is finished
		}
		join := func(want int, since finishCount, ids ...string) {
			t.Helper()
			got, err := b.join(t.Context(), ids, since)
			require.NoError(t, err)
			require.Equal(t, slices.Repeat([]int{want}, len(ids)), got)
			synctest.Wait()
		}
		before := b.now()
		load(1, "x", "y")
		after := b.now()
		join(1, before, "y", "x")
		join(2, before, "z")
		load(3, "x")
		join(3, after, "x")
		join(4, b.now(), "x")
		require.EqualValues(t, 4, b.now())

		before = b.now()
		_, err := b.load(t.Context(), []string{"broken"})
		require.Error(t, err)
		synctest.Wait()
		_, err = b.join(t.Context(), []string{"broken"}, before)
		require.Error(t, err)
		synctest.Wait()
		require.EqualValues(t, 6, b.now(), "it was read again")

		before = b.now()
		for n := range recentMax {
			load(7+n, "x")
		}
		load(7+recentMax, "y")
		require.Len(t, b.recent, recentMax, "no more are kept")
		join(6+recentMax, before, "x")
	})
}

// A batch that has answered and still fills does not keep the next one waiting. Callers
// may join it.
func TestBatcherGoesOnAfterTheAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		reads := 0
		b := &batcher[int]{inFlightMax: 1, idsMax: 10, waitingMax: 2, read: func(_ context.Context, ids []string, answer func([]int, error)) {
			reads++
			answer(slices.Repeat([]int{reads}, len(ids)), nil)
			<-release
		}}
		since := b.now()
		for want, id := range []string{"a", "b", "c"} {
			got, err := b.load(t.Context(), []string{id})
			require.NoError(t, err)
			require.Equal(t, []int{want + 1}, got)
		}
		got, err := b.join(t.Context(), []string{"c", "a"}, since)
		require.NoError(t, err)
		require.Equal(t, []int{3, 1}, got)
		require.Zero(t, b.running)
		require.Len(t, b.inFlight, 3)
		close(release)
		synctest.Wait()
		require.Empty(t, b.inFlight)
		require.EqualValues(t, 3, b.now())
	})
}

// A full queue refuses callers instead of growing. A read that panics, or that
// returns without an answer, is an error of its callers.
func TestBatcherBounds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		b := &batcher[string]{inFlightMax: 1, idsMax: 2, waitingMax: 1, read: func(_ context.Context, ids []string, answer func([]string, error)) {
			<-release
			if ids[0] == "panic" {
				panic("oh")
			}
			if ids[0] == "error" {
				answer(nil, errors.New("no"))
			}
		}}
		results := make(chan error, 2)
		go func() { _, err := b.load(t.Context(), []string{"panic"}); results <- err }()
		synctest.Wait()
		require.Equal(t, 1, b.running)
		go func() { _, err := b.load(t.Context(), []string{"error", "two"}); results <- err }()
		synctest.Wait()
		require.Len(t, b.waiting, 1)
		_, err := b.load(t.Context(), []string{"three"})
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
		close(release)
		err = errors.Join(<-results, <-results)
		require.ErrorContains(t, err, "panicked: oh")
		require.ErrorContains(t, err, "no")
		_, err = b.load(t.Context(), []string{"no answer"})
		require.Error(t, err)
	})
}

// Where nobody waits, a caller reads itself, as many at a time as may be in flight. The
// others share the next batch. A panic, a missing answer and a wrong number of values
// are errors, and none of them keeps a place.
func TestBatcherReadsDirectly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		batches := make(chan []string, 10)
		b := &batcher[string]{inFlightMax: 2, direct: true, idsMax: 3, waitingMax: 2, read: func(_ context.Context, ids []string, answer func([]string, error)) {
			batches <- ids
			<-release
			switch ids[0] {
			case "panic":
				panic("oh")
			case "error":
				answer(nil, errors.New("no"))
			case "short":
				answer(nil, nil)
			case "silent":
			default:
				answer(ids, nil)
			}
		}}
		results := make(chan []string, 10)
		load := func(ids ...string) {
			go func() {
				got, err := b.load(t.Context(), ids)
				if err != nil {
					got = []string{err.Error()}
				}
				results <- got
			}()
			synctest.Wait()
		}
		load("a", "b")
		load("c")
		require.Equal(t, []string{"a", "b"}, <-batches)
		require.Equal(t, []string{"c"}, <-batches)
		load("b", "d")
		load("b", "e")
		require.Equal(t, 2, b.running)
		require.Len(t, b.waiting, 1, "who asks now shares a batch")
		require.Empty(t, results)
		close(release)
		require.Equal(t, []string{"b", "d", "e"}, <-batches)
		all := [][]string{<-results, <-results, <-results, <-results}
		require.ElementsMatch(t, [][]string{{"a", "b"}, {"c"}, {"b", "d"}, {"b", "e"}}, all)

		for _, c := range []struct {
			ids   []string
			batch []string
			want  []string
		}{
			{[]string{"x", "y", "x"}, []string{"x", "y", "x"}, []string{"x", "y", "x"}},
			{[]string{"panic"}, []string{"panic"}, []string{"a read panicked: oh"}},
			{[]string{"error"}, []string{"error"}, []string{"no"}},
			{[]string{"short"}, []string{"short"}, []string{"a read returned the wrong number of values"}},
			{[]string{"silent"}, []string{"silent"}, []string{"a read returned without an answer"}},
		} {
			load(c.ids...)
			require.Equal(t, c.batch, <-batches)
			require.Equal(t, c.want, <-results)
			synctest.Wait()
			require.Zero(t, b.running)
			require.Empty(t, b.waiting)
		}
		load("p", "q", "r", "s") // more than one batch may have
		require.ElementsMatch(t, [][]string{{"p", "q", "r"}, {"s"}}, [][]string{<-batches, <-batches})
		require.Equal(t, []string{"p", "q", "r", "s"}, <-results)
		got, err := b.load(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, got)
	})
}

// BenchmarkBatcher is what the batcher adds to a read that costs nothing: to that of a
// lone caller, and to those of 64 callers.
func BenchmarkBatcher(b *testing.B) {
	ids := fixture.Numbered(20)
	load := func(b *testing.B, batch *batcher[string]) {
		if _, err := batch.load(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
	make := func() *batcher[string] {
		return &batcher[string]{inFlightMax: cacheInFlightMax, direct: true, idsMax: batchIDsMax, waitingMax: batchesWaitingMax,
			read: func(_ context.Context, ids []string, answer func([]string, error)) { answer(ids, nil) }}
	}
	b.Run("lone", func(b *testing.B) {
		b.ReportAllocs()
		batch := make()
		for b.Loop() {
			load(b, batch)
		}
	})
	b.Run("64", func(b *testing.B) {
		b.ReportAllocs()
		batch := make()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				load(b, batch)
			}
		})
	})
}
