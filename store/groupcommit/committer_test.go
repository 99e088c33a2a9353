package groupcommit

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// onBoth runs a test with writes that are decided when they are added, and with writes
// that are decided under lock.
func onBoth(t *testing.T, test func(t *testing.T, s *setup)) {
	t.Helper()
	t.Parallel()
	for name, underLock := range map[string]bool{"optimistic": false, "under lock": true} {
		t.Run(name, func(t *testing.T) { inBubble(t, &fakeDatabase{underLock: underLock}, CommitterSwitches{}, test) })
	}
}

// Writes that arrive while a batch is in flight are the next batch, in the order of
// arrival. Each caller gets the result of its own write.
func TestBatchesInOrderOfArrival(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		first := s.submitAll("first")
		rest := s.submitAll("a", "b", "c", "d")
		s.release()
		require.Equal(t, [][]string{{"first"}, {"a", "b", "c", "d"}}, s.batches)
		require.Equal(t, s.batches, s.published)
		s.requireDone(first, "first")
		s.requireDone(rest, "a", "b", "c", "d")
	})
}

// Writes are added to the next batch while a batch is in flight; those that must be
// decided under lock wait in the queue.
func TestWritesAreAddedWhileABatchIsInFlight(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.submitAll("first", "a", "b")
		added := 2
		if s.underLock {
			added = 0
		}
		require.Len(t, s.committer.queue, 2-added)
		queued, _ := s.committer.Waiting()
		require.Equal(t, 2, queued)
		s.release()
	})
}

// A write that cannot be added stops those behind it: none overtakes it.
func TestNoWriteOvertakes(t *testing.T) {
	inBubble(t, &fakeDatabase{}, CommitterSwitches{}, func(t *testing.T, s *setup) {
		callers := s.submitAll("first", "a", "under lock", "b", "c")
		s.release()
		require.Equal(t, [][]string{{"first"}, {"a"}, {"under lock", "b", "c"}}, s.batches)
		s.requireDone(callers, "first", "a", "under lock", "b", "c")
	})
}

// Writes that a full batch does not take form the batch after it.
func TestFullBatch(t *testing.T) {
	t.Parallel()
	for name, underLock := range map[string]bool{"optimistic": false, "under lock": true} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, &fakeDatabase{underLock: underLock, writesMax: 2}, CommitterSwitches{}, func(t *testing.T, s *setup) {
				s.submitAll("first", "a", "b", "c", "d", "e")
				s.release()
				require.Equal(t, [][]string{{"first"}, {"a", "b"}, {"c", "d"}, {"e"}}, s.batches)
			})
		})
	}
}

// A caller that gives up before its batch is in flight takes its write with it. The
// others keep their order.
func TestCallerGivesUp(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		ctx, cancel := context.WithCancel(t.Context())
		first, others := s.submitAll("first"), s.submitAll("a")
		gone := s.submit(ctx, "gone", "x")
		others = append(others, s.submitAll("b", "under lock")...)
		cancel()
		synctest.Wait()
		s.release()
		gone.requireUnavailable(t)
		require.ErrorIs(t, gone.err, context.Canceled)
		s.requireDone(first, "first")
		s.requireDone(others, "a", "b", "under lock")
		if s.underLock {
			require.Equal(t, [][]string{{"first"}, {"a", "b", "under lock"}}, s.batches)
			return
		}
		require.Equal(t, [][]string{{"first"}, {"a", "b"}, {"under lock"}}, s.batches)
		require.Equal(t, 1, s.discarded, "b was decided on what the lost write had left")
	})
}

// If all callers of the open batch give up, nothing is sent.
func TestAllCallersGiveUp(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.submitAll("first")
		ctx, cancel := context.WithCancel(t.Context())
		s.submit(ctx, "gone", "x")
		s.submit(ctx, "gone too", "x")
		cancel()
		synctest.Wait()
		s.release()
		require.Equal(t, [][]string{{"first"}}, s.batches)
		s.requireDone(s.submitAll("later"), "later")
	})
}

// A caller that gives up while its batch is in flight only stops waiting.
func TestCallerGivesUpInFlight(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		ctx, cancel := context.WithCancel(t.Context())
		gone := s.submit(ctx, "gone", "x")
		cancel()
		synctest.Wait()
		s.release()
		gone.requireUnavailable(t)
		require.Equal(t, [][]string{{"gone"}}, s.batches)
	})
}

// A committer with too many waiters refuses one more at once. When there are fewer it
// takes callers again.
func TestTooManyWaiters(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.lock("y")
		blocked := s.submit(t.Context(), "blocked", "y")
		s.releaseOne()
		s.submitAll("first")
		for range waitersMax - 2 {
			go func() { _, _ = s.committer.Submit(t.Context(), reserve("filler", "x")) }()
		}
		last := s.submitAll("last")
		queued, stopped := s.committer.Waiting()
		require.Equal(t, []int{waitersMax - 1, 1}, []int{queued, stopped})
		refused := s.submit(t.Context(), "one too many", "x")
		require.ErrorIs(t, refused.err, errFull)
		refused.requireUnavailable(t)
		s.lock()
		s.release()
		s.requireDone(last, "last")
		s.requireDone(s.submitAll("later"), "later")
		s.pass(2 * lockPollInterval)
		s.requireDone([]*caller{blocked}, "blocked")
	})
}

// Only the caller of a write that failed gets its fault.
func TestFaultsAreAnsweredOneByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.submitAll("first")
		callers := s.submitAll("a", "fault", "b")
		s.release()
		s.requireDone(callers[:1], "a")
		s.requireDone(callers[2:], "b")
		require.ErrorContains(t, callers[1].err, "fault")
	})
}

// A result is published before its callers are answered, and while the next batch is
// already in flight.
func TestPublishBesideTheNextBatch(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		redis := make(chan struct{})
		s.publish = func() { <-redis }
		first, next := s.submitAll("first"), s.submitAll("next")
		s.releaseOne()
		require.Equal(t, []int{1, 1}, s.started, "the next batch is in flight")
		require.False(t, first[0].answered())
		redis <- struct{}{}
		synctest.Wait()
		s.requireDone(first, "first")
		require.False(t, next[0].answered())
		close(redis)
		s.release()
		s.requireDone(next, "next")
	})
}

// The publisher expects a batch that follows a pause, and none that follows another at
// once.
func TestPublisherExpectsABatchAfterAPause(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		for range 3 {
			before := s.expected
			s.submitAll("first", "a")
			require.Equal(t, before+1, s.expected)
			s.releaseOne()
			s.releaseOne()
			s.submitAll("soon")
			s.releaseOne()
			require.Equal(t, before+1, s.expected)
			s.pass(pauseMin)
		}
		s.release()
	})
}
