package readreplica

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/store/database"
)

// inFlight is how many reads are at the replica together.
const inFlight = 16

// frozenReplica keeps its connections and answers nothing once it is frozen.
type frozenReplica struct {
	fakeReplica
	frozen bool
}

// Read implements Replica.
func (f *frozenReplica) Read(ctx context.Context, _ time.Duration, read func(*database.Database) error) (int64, error) {
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
		replica := &frozenReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		b := r.breakers[0]
		require.NoError(t, b.state())
		replica.frozen = true
		readTogether(t, r)
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
func readTogether(t *testing.T, r *ReplicaReader) {
	t.Helper()
	var callers sync.WaitGroup
	answers := make([]string, inFlight)
	errs := make([]error, inFlight)
	for n := range inFlight {
		callers.Go(func() { answers[n], errs[n] = served(t.Context(), r) })
	}
	callers.Wait()
	require.NoError(t, errors.Join(errs...))
	for _, answer := range answers {
		require.Equal(t, "primary", answer)
	}
}
