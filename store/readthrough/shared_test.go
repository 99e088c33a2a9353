package readthrough

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

// Callers that come while a read of their key is in flight share the next one, which
// starts after their call. Other keys do not wait. Nothing is kept in the end.
func TestSharedReads(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s SharedReads[int]
		var started atomic.Int64
		release := make(chan struct{})
		read := func(context.Context) (int, error) {
			n := int(started.Add(1))
			<-release
			return n, nil
		}
		results := make(chan int, 100)
		load := func(ctx context.Context, key string) {
			go func() {
				value, err := s.Load(ctx, key, read)
				if err != nil {
					value = -1
				}
				results <- value
			}()
			synctest.Wait()
		}
		load(t.Context(), "a")
		gone, cancel := context.WithCancel(t.Context())
		for range 5 {
			load(t.Context(), "a")
		}
		load(gone, "a")
		load(t.Context(), "b")
		require.EqualValues(t, 2, started.Load())
		cancel()
		require.Equal(t, -1, <-results, "who gives up leaves")
		release <- struct{}{}
		synctest.Wait()
		require.EqualValues(t, 3, started.Load())
		load(t.Context(), "a")
		close(release)
		synctest.Wait()
		require.EqualValues(t, 4, started.Load())
		counts := map[int]int{}
		for range 8 {
			counts[<-results]++
		}
		require.Equal(t, map[int]int{1: 1, 2: 1, 3: 5, 4: 1}, counts)
		require.Empty(t, s.reads)
	})
}

// A read that fails or panics is the error of those who share it, and of no later caller.
func TestSharedReadsThatFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s SharedReads[int]
		release := make(chan struct{})
		go func() {
			_, _ = s.Load(t.Context(), "a", func(context.Context) (int, error) { <-release; return 0, errors.New("no") })
		}()
		synctest.Wait()
		faults := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := s.Load(t.Context(), "a", func(context.Context) (int, error) { panic("oh") })
				faults <- err
			}()
			synctest.Wait()
		}
		close(release)
		require.ErrorContains(t, <-faults, "panicked: oh")
		require.ErrorContains(t, <-faults, "panicked: oh")
		synctest.Wait()
		value, err := s.Load(t.Context(), "a", func(context.Context) (int, error) { return 7, nil })
		require.NoError(t, err)
		require.Equal(t, 7, value)
		require.Panics(t, func() { _, _ = s.Load(t.Context(), "a", func(context.Context) (int, error) { panic("mine") }) })
		require.Empty(t, s.reads)
	})
}
