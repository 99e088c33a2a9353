package readthrough

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"onhand/models"
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
