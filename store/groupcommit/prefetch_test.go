package groupcommit

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Products that the snapshot cache lacks are read for all queued writes, once, and the
// writes are then decided like others. If reading fails, the first of them is decided
// under lock.
func TestPrefetch(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		fetch   func(ctx context.Context) error
		without CommitterSwitches
		batches [][]string
		fetched []string
	}{
		"they are read": {
			func(context.Context) error { time.Sleep(time.Millisecond); return nil }, CommitterSwitches{},
			[][]string{{"first"}, {"a", "missing b", "missing c", "d"}}, []string{"b", "c"},
		},
		"the database is slow": {
			func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, CommitterSwitches{},
			[][]string{{"first"}, {"a"}, {"missing b", "missing c", "d"}}, nil,
		},
		"the database fails": {
			func(context.Context) error { return errors.New("gone") }, CommitterSwitches{},
			[][]string{{"first"}, {"a"}, {"missing b", "missing c", "d"}}, nil,
		},
		"switched off": {
			nil, CommitterSwitches{NoPrefetch: true},
			[][]string{{"first"}, {"a"}, {"missing b", "missing c", "d"}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, &fakeDatabase{}, is.without, func(t *testing.T, s *setup) {
				reads := 0
				s.fetching = func(ctx context.Context) error {
					reads++
					return is.fetch(ctx)
				}
				s.submitAll("first", "a")
				callers := []*caller{s.submit(t.Context(), "missing b", "b"), s.submit(t.Context(), "missing c", "c")}
				callers = append(callers, s.submitAll("d")...)
				s.pass(prefetchWait)
				s.release()
				s.requireDone(callers, "missing b", "missing c", "d")
				slices.Sort(s.fetched)
				require.Equal(t, is.fetched, s.fetched)
				require.LessOrEqual(t, reads, 2)
				require.Equal(t, is.batches, s.batches)
			})
		})
	}
}

// A batch that is full of what can be decided does not wait for a read.
func TestPrefetchDoesNotDelayTheOpenBatch(t *testing.T) {
	inBubble(t, &fakeDatabase{}, CommitterSwitches{}, func(t *testing.T, s *setup) {
		s.fetching = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
		decided := s.submitAll("first", "a")
		missing := s.submit(t.Context(), "missing b", "b")
		s.release()
		s.requireDone(decided, "first", "a")
		require.False(t, missing.answered())
		s.pass(prefetchWait)
		s.requireDone([]*caller{missing}, "missing b")
	})
}
