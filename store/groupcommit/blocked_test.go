package groupcommit

import (
	"context"
	"onhand/store/database"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Writes that need locked rows are blocked: those that the database reports, those that
// are queued behind them, and those that come later. The others go on. When the rows
// are free, the blocked writes are committed in their order.
func TestBlockedWritesStepOutOfTheWay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.writesMax = 3
		s.submitAll("first")
		s.lock("y")
		waiting := []*caller{s.submit(t.Context(), "y1", "y")}
		others := s.submitAll("a")
		waiting = append(waiting, s.submit(t.Context(), "y2", "y"))
		others = append(others, s.submitAll("b")...)
		waiting = append(waiting, s.submit(t.Context(), "y3", "y"))
		s.release()
		s.requireDone(others, "a", "b")
		waiting = append(waiting, s.submit(t.Context(), "y4", "y"))
		require.Equal(t, [][]string{{"first"}, {"a"}, {"b"}}, s.batches)
		require.Equal(t, []int{1, 3, 1}, s.started, "neither y3 nor y4 tried")
		s.requireDone(s.submitAll("c"), "c")
		_, blocked := s.committer.Waiting()
		require.Equal(t, 4, blocked)

		s.lock()
		s.pass(2*lockPollInterval + 2*commitDelayMax)
		s.requireDone(waiting, "y1", "y2", "y3", "y4")
		require.Equal(t, [][]string{{"c"}, {"y1", "y2", "y3"}, {"y4"}}, s.batches[3:])
	})
}

// Blocked writes whose rows are free are committed before those that are queued: they
// came first.
func TestBlockedWritesKeepTheirPlace(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.lock("y")
		blocked := []*caller{s.submit(t.Context(), "y1", "y")}
		s.releaseOne()
		blocked = append(blocked, s.submit(t.Context(), "y2", "y"))
		inFlight, queued := s.submitAll("x"), s.submitAll("under lock")
		s.lock()
		s.pass(2 * lockPollInterval)
		s.release()
		s.requireDone(slices.Concat(inFlight, blocked, queued), "x", "y1", "y2", "under lock")
		require.Equal(t, []string{"x", "y1", "y2", "under lock"}, slices.Concat(s.batches...))
	})
}

// A batch that was decided while the one before it turned out to be blocked is given
// up: it may need the same rows.
func TestOpenBatchIsDiscardedWhenRowsAreLocked(t *testing.T) {
	inBubble(t, &fakeDatabase{}, CommitterSwitches{}, func(t *testing.T, s *setup) {
		s.lock("y")
		blocked := s.submit(t.Context(), "y1", "y")
		s.submit(t.Context(), "y2", "y")
		s.submitAll("a")
		require.Len(t, s.committer.open.waiters, 2)
		s.release()
		require.Equal(t, 1, s.discarded)
		require.Equal(t, [][]string{nil, {"a"}}, s.batches)
		require.False(t, blocked.answered())
		s.lock()
		s.pass(2 * lockPollInterval)
		s.requireDone([]*caller{blocked}, "y1")
	})
}

// A blocked write whose caller gives up is forgotten, and polling ends with the last.
func TestBlockedCallerGivesUp(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.lock("y")
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		defer cancel()
		c := s.submit(ctx, "k", "y")
		s.releaseOne()
		s.pass(2 * lockPollInterval)
		c.requireUnavailable(t)
		s.requireIdle()
		require.Zero(t, s.lockPolls)
	})
}

// A row that passes from one transaction to the next is in demand: a write that was
// blocked by it does not wait until it is found free.
func TestRowInDemandDoesNotBlock(t *testing.T) {
	onBoth(t, func(t *testing.T, s *setup) {
		s.polled = func(poll int) {
			switch poll {
			case 3: // twice the same, then another one, which the database waits for
				s.locked[database.RowRef{Product: "y"}] = []string{"yet another transaction"}
			case 4:
				t.Error("polled once more")
			}
		}
		s.lock("y")
		c := s.submit(t.Context(), "k", "y")
		s.releaseOne()
		s.pass(3*lockPollInterval + time.Millisecond)
		require.Equal(t, []int{1, 1}, s.started, "it is in flight again")
		require.Equal(t, 3, s.lockPolls)
		s.lock()
		s.release()
		s.requireDone([]*caller{c}, "k")
	})
}
