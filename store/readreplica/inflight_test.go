package readreplica

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// inFlight is how many reads are at the replica together.
const inFlight = 16

// frozenReplica keeps its connections and answers nothing once it is frozen.
type frozenReplica struct {
	fakeReplica
	frozen bool
	asked  atomic.Int64
}

// Read implements Replica.
func (f *frozenReplica) Read(ctx context.Context, _ time.Duration, read func(*database.Database) error) (int64, error) {
	f.asked.Add(1)
	if f.frozen {
		<-ctx.Done()
		return 0, ctx.Err()
	}
	return 0, read(nil)
}

// Reads that fail together are one failure: the first probe is due within a second.
func TestOutageCountsOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, replica := newFrozen(t)
		b, before := r.breakers[0], replica.asked.Load()
		replica.frozen = true
		for _, answer := range readTogether(t, func() (string, error) { return served(t.Context(), r) }) {
			require.Equal(t, "primary", answer)
		}
		require.EqualValues(t, inFlight, replica.asked.Load()-before)
		require.ErrorIs(t, b.state(), context.DeadlineExceeded)
		require.LessOrEqual(t, time.Until(b.retryAt), ProbeInterval)

		for wait := 2 * ProbeInterval; wait <= 16*ProbeInterval; wait *= 2 { // each probe that fails doubles it
			time.Sleep(time.Until(b.retryAt))
			r.probe(t.Context())
			require.Greater(t, time.Until(b.retryAt), wait/2-time.Nanosecond)
			require.LessOrEqual(t, time.Until(b.retryAt), wait)
		}
	})
}

// Reads and probes that began before the breaker opened or closed are ignored.
func TestBegunBeforeAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		b := r.breakers[0]
		began, _ := b.begin()
		b.fail(errors.New("refused"), false, began)
		retryAt := b.retryAt
		b.succeed(began) // a probe
		require.Error(t, b.state(), "the read is newer")
		b.fail(errors.New("refused"), false, began)
		require.Equal(t, retryAt, b.retryAt)

		time.Sleep(ProbeInterval)
		r.probe(t.Context())
		require.NoError(t, b.state())
		b.fail(errors.New("refused"), false, began)
		require.NoError(t, b.state(), "the probe is newer")
	})
}

// Late reads that began before the breaker closed are not counted after it.
func TestLateReadsBegunBeforeAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		replica.err = database.ErrReplicaBehind
		for range behindMax {
			_, err := served(t.Context(), r)
			require.NoError(t, err)
		}
		require.Error(t, r.State())
		replica.err = nil
		time.Sleep(ProbeInterval)

		b := r.breakers[0]
		began, _ := b.begin()
		r.probe(t.Context())
		require.NoError(t, r.State())
		for range inFlight {
			require.False(t, b.count(behind, began))
		}
		require.Zero(t, b.behind.Load())
	})
}

// readTogether reads with several callers at once, and waits for all.
func readTogether(t *testing.T, read func() (string, error)) (answers []string) {
	t.Helper()
	var callers sync.WaitGroup
	answers = make([]string, inFlight)
	errs := make([]error, inFlight)
	for n := range inFlight {
		callers.Go(func() { answers[n], errs[n] = read() })
	}
	callers.Wait()
	require.NoError(t, errors.Join(errs...))
	return answers
}

// newFrozen is a reader whose replica has answered a read.
func newFrozen(t *testing.T) (*ReplicaReader, *frozenReplica) {
	t.Helper()
	replica := &frozenReplica{}
	r := newReader(replica)
	r.probe(t.Context())
	answer, err := served(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "replica", answer)
	return r, replica
}

// lateRead reads what takes too long at a replica.
func lateRead(ctx context.Context, r *ReplicaReader) (string, error) {
	return Read(ctx, r, func(ctx context.Context, from ReplicaReads) (string, error) {
		if _, primary := from.(*fakePages); primary {
			return "primary", nil
		}
		<-ctx.Done()
		return "", models.Unavailable("too late", ctx.Err())
	})
}

// After a probe one read at a time goes to the replica, until one is answered.
func TestHalfOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, replica := newFrozen(t)
		b := r.breakers[0]
		changes, _ := b.begin()
		b.fail(errors.New("refused"), false, changes)
		time.Sleep(ProbeInterval)
		r.probe(t.Context())
		require.NoError(t, r.State())

		before := replica.asked.Load()
		readTogether(t, func() (string, error) { return lateRead(t.Context(), r) })
		require.EqualValues(t, 1, replica.asked.Load()-before)
		require.EqualValues(t, 1, r.fallbacks[slow].Load())
		require.EqualValues(t, inFlight-1, r.fallbacks[breakerOpen].Load())
		require.NoError(t, r.State(), "one late read says nothing of the replica")

		gone, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, err := lateRead(gone, r)
		require.Error(t, err)
		for range slowMax - 1 {
			_, err := lateRead(t.Context(), r)
			require.NoError(t, err)
		}
		require.ErrorIs(t, r.State(), errSlow)

		time.Sleep(2 * ProbeInterval)
		r.probe(t.Context())
		answer, err := served(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, "replica", answer)
		before = replica.asked.Load()
		readTogether(t, func() (string, error) { return lateRead(t.Context(), r) })
		require.EqualValues(t, inFlight, replica.asked.Load()-before)
	})
}

// A read that began before the breaker opened, and is answered later, does not shorten the
// next wait.
func TestAnswerBegunBeforeAChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newFrozen(t)
		b := r.breakers[0]
		began, _ := b.begin()
		b.fail(errors.New("refused"), false, began)
		time.Sleep(ProbeInterval)
		r.probe(t.Context())
		require.False(t, b.count(behind, began+2))
		b.answered(began)
		require.True(t, b.retryGrown.Load())
		require.True(t, b.halfOpen.Load())
		require.EqualValues(t, 1, b.behind.Load())
		b.answered(began + 2)
		require.False(t, b.retryGrown.Load())
		require.False(t, b.halfOpen.Load())
		require.Zero(t, b.behind.Load())
	})
}
