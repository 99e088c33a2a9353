package groupcommit

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// requireLate checks that the caller was answered that its time is over, when it was.
func (c *caller) requireLate(t *testing.T) {
	t.Helper()
	synctest.Wait()
	c.requireUnavailable(t)
	require.ErrorIs(t, c.err, context.DeadlineExceeded)
	require.GreaterOrEqual(t, c.after, WaitMax)
	require.LessOrEqual(t, c.after, WaitMax+tickInterval)
}

// onTimers runs a test with the ticker, and with a timer for each caller.
func onTimers(t *testing.T, f func() *fakeDatabase, test func(t *testing.T, s *setup)) {
	t.Helper()
	t.Parallel()
	for name, without := range map[string]CommitterSwitches{"ticker": {}, "timers": {NoTicker: true}} {
		t.Run(name, func(t *testing.T) { inBubble(t, f(), without, test) })
	}
}

func decidesUnderLock() *fakeDatabase { return &fakeDatabase{underLock: true} }

func decidesOptimistically() *fakeDatabase { return &fakeDatabase{} }

// A caller whose deadline has passed is answered, whether it is blocked, in flight or
// queued, and whether or not its context can end. What its batch does later changes
// nothing.
func TestLateCallersAreAnswered(t *testing.T) {
	onTimers(t, decidesUnderLock, func(t *testing.T, s *setup) {
		s.lock("kept")
		blocked := s.submit(t.Context(), "blocked", "kept")
		s.releaseOne()
		inFlight := s.submit(context.Background(), "in flight", "x")
		queued := s.submit(t.Context(), "queued", "x")
		inQueue, stopped := s.committer.Waiting()
		require.Equal(t, []int{1, 1}, []int{inQueue, stopped})

		s.pass(WaitMax + 2*tickInterval)
		for _, c := range []*caller{blocked, inFlight, queued} {
			c.requireLate(t)
		}
		s.release()
		s.requireIdle()
		require.Equal(t, [][]string{nil, {"in flight"}}, s.batches, "a write whose caller was answered does not happen")
		s.requireDone(s.submitAll("later"), "later")
	})
}

// A caller whose deadline passes before its optimistic batch is sent takes its write
// with it.
func TestLateCallersOfAnOpenBatch(t *testing.T) {
	onTimers(t, decidesOptimistically, func(t *testing.T, s *setup) {
		inFlight := s.submit(t.Context(), "in flight", "x")
		decided := s.submit(t.Context(), "decided", "x")
		require.Len(t, s.committer.open.waiters, 1)
		s.pass(WaitMax + 2*tickInterval)
		inFlight.requireLate(t)
		decided.requireLate(t)
		s.release()
		s.requireIdle()
		require.Equal(t, [][]string{{"in flight"}}, s.batches)
	})
}

// No caller is answered before its deadline, whenever between two ticks it came, and
// after how many.
func TestNoCallerIsAnsweredEarly(t *testing.T) {
	onTimers(t, decidesUnderLock, func(t *testing.T, s *setup) {
		callers := make([]*caller, 12)
		for i := range callers {
			callers[i] = s.submit(t.Context(), "patient", "x")
			s.pass(tickInterval / 3)
		}
		s.pass(WaitMax + tickInterval)
		for _, c := range callers {
			c.requireLate(t)
		}
		s.release()
	})
}

// A waiter that came back blocked and is in flight again, before the others of its
// first batch are answered, is answered in time there too.
func TestLateCallerOfTwoBatches(t *testing.T) {
	onTimers(t, decidesUnderLock, func(t *testing.T, s *setup) {
		redis := make(chan struct{})
		s.publish = func() { <-redis }
		s.lock("kept")
		s.submit(t.Context(), "first", "x")
		blocked := s.submit(t.Context(), "blocked", "kept")
		other := s.submit(t.Context(), "other", "x")
		s.releaseOne() // first
		redis <- struct{}{}
		s.releaseOne() // both: one comes back
		s.lock()
		s.pass(2 * lockPollInterval)
		require.False(t, other.answered())
		require.True(t, s.committer.inFlight, "the blocked one is in flight again")
		redis <- struct{}{}
		synctest.Wait()
		s.requireDone([]*caller{other}, "other")

		s.pass(WaitMax)
		blocked.requireLate(t)
		close(redis)
		s.release()
	})
}
