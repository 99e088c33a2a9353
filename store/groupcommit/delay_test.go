package groupcommit

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// afterBatch runs a test in which a batch has just finished, with some waiters queued
// by then. The bound of the delay is an hour unless without or max says otherwise.
func afterBatch(t *testing.T, last finishedBatch, delayMax time.Duration, without CommitterSwitches, queued int, test func(t *testing.T, s *setup, callers []*caller)) {
	t.Helper()
	inBubble(t, &fakeDatabase{}, without, func(t *testing.T, s *setup) {
		c := s.committer
		c.delayMax, c.inFlight = delayMax, true
		close(s.released)
		callers := s.arrive(queued)
		c.mu.Lock()
		c.inFlight = false
		c.startDelay(last)
		c.dispatch()
		c.mu.Unlock()
		synctest.Wait()
		test(t, s, callers)
	})
}

// arrive has so many callers submit.
func (s *setup) arrive(n int) (callers []*caller) {
	for i := range n {
		callers = append(callers, s.submitAll(strconv.Itoa(i))...)
	}
	return callers
}

// The next batch waits until as many waiters are queued as were just answered. The
// last of them ends the delay.
func TestDelayEndsWithThoseJustAnswered(t *testing.T) {
	afterBatch(t, finishedBatch{5, 1, false, time.Hour}, time.Hour, CommitterSwitches{}, 0, func(t *testing.T, s *setup, _ []*caller) {
		s.arrive(4)
		require.Empty(t, s.started, "one is still to come")
		s.arrive(1)
		require.Equal(t, []int{5}, s.started)
	})
}

// Waiters that are queued when the batch finishes count besides those that it answered.
func TestDelayCountsQueuedWaiters(t *testing.T) {
	afterBatch(t, finishedBatch{5, 1, false, time.Hour}, time.Hour, CommitterSwitches{}, 2, func(t *testing.T, s *setup, _ []*caller) {
		s.arrive(4)
		require.Empty(t, s.started, "one is still to come")
		s.arrive(1)
		require.Equal(t, []int{7}, s.started)
	})
}

// The delay ends without them: after the time that the last batch took, and never
// later than its bound.
func TestDelayIsBoundedInTime(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ took, max time.Duration }{
		"as long as the last batch took": {time.Millisecond, time.Hour},
		"the bound":                      {time.Hour, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			afterBatch(t, finishedBatch{5, 1, false, is.took}, is.max, CommitterSwitches{}, 1, func(t *testing.T, s *setup, callers []*caller) {
				require.Empty(t, s.started)
				s.pass(time.Millisecond)
				require.Equal(t, []int{1}, s.started)
				require.Equal(t, time.Millisecond, callers[0].after)
			})
		})
	}
	require.Equal(t, 2*time.Millisecond, New(nil, nil, CommitterSwitches{}).delayMax)
}

// A lone caller does not wait after a batch of few, nor do many for all of those that
// were answered.
func TestDelayIsBoundedInWaiters(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		last   finishedBatch
		target int
	}{
		"after few, none waits":                          {finishedBatch{delayFrom - 1, 1, false, time.Hour}, 1},
		"many are enough":                                {finishedBatch{10 * delayTarget, 1, false, time.Hour}, delayTarget},
		"more where others change the product":           {finishedBatch{10 * delayTarget, 1, true, time.Hour}, delayTargetContended},
		"fewer, where each changes a product of its own": {finishedBatch{delayTarget, delayTarget, false, time.Hour}, delayWork / (1 + delayWorkPerProduct)},
		"one, where each changes many":                   {finishedBatch{delayTarget, 100 * delayTarget, false, time.Hour}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			afterBatch(t, is.last, time.Hour, CommitterSwitches{}, 0, func(t *testing.T, s *setup, _ []*caller) {
				s.arrive(is.target - 1)
				require.Empty(t, s.started)
				s.arrive(1)
				require.Equal(t, []int{is.target}, s.started)
			})
		})
	}
}

// The delay can be switched off.
func TestNoCommitDelay(t *testing.T) {
	afterBatch(t, finishedBatch{5, 1, false, time.Hour}, time.Hour, CommitterSwitches{NoCommitDelay: true}, 1, func(t *testing.T, s *setup, _ []*caller) {
		require.Equal(t, []int{1}, s.started)
	})
}

// The delay after a batch depends on what the batch reports: how many waiters it
// answered, and whether another instance changes its products.
func TestDelayAfterABatch(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		contended bool
		started   []int
	}{
		"one instance": {false, []int{1, delayFrom + 1, delayTarget}},
		"contended":    {true, []int{1, delayFrom + 1}}, // it waits for as many as were answered
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, &fakeDatabase{contended: is.contended}, CommitterSwitches{}, func(t *testing.T, s *setup) {
				s.submitAll("first")
				s.lock("y")
				blocked := s.submit(t.Context(), "blocked", "y")
				s.arrive(delayFrom)
				s.releaseOne()
				s.arrive(delayTarget)
				s.pass(time.Second) // so that the delay may be as long
				s.committer.mu.Lock()
				s.committer.delayMax = time.Second
				s.committer.mu.Unlock()
				s.releaseOne()
				require.Equal(t, is.started, s.started)
				if is.contended {
					require.Equal(t, delayFrom+delayTarget, s.committer.delay.target)
				}
				s.lock()
				close(s.released)
				s.pass(2 * time.Second)
				s.requireDone([]*caller{blocked}, "blocked")
				require.Equal(t, 1+delayFrom+1+delayTarget, len(slices.Concat(s.batches...)))
			})
		})
	}
}
