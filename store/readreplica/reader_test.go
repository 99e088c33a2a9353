package readreplica

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/models/paging"
	"onhand/store/database"
)

// fakeReplica answers as a test sets it.
type fakeReplica struct {
	host  string
	err   error
	lag   int64
	takes time.Duration
	asked int

	reading bool // a read is under way
}

// Address implements Replica.
func (f *fakeReplica) Address() string { return f.host }

// Read implements Replica.
func (f *fakeReplica) Read(ctx context.Context, _ time.Duration, read func(*database.Database) error) (int64, error) {
	f.asked++
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(f.takes):
	}
	if f.err != nil {
		return f.lag, f.err
	}
	f.reading = true
	defer func() { f.reading = false }()
	return f.lag, read(nil)
}

// fakePages is the primary.
type fakePages struct{ ReplicaReads }

// ReadMovements implements ReplicaReads.
func (*fakePages) ReadMovements(context.Context, paging.MovementRequest, models.MovementFilter) (paging.MovementPage, error) {
	return paging.MovementPage{}, nil
}

func newReader(replicas ...Replica) *ReplicaReader {
	return New(ReaderConfig{Primary: &fakePages{}, Replicas: replicas, LagMax: 50 * time.Millisecond, Timeout: time.Second, Logger: slog.New(slog.DiscardHandler)})
}

// probe probes all replicas.
func (r *ReplicaReader) probe(ctx context.Context) {
	for _, probe := range r.Probes() {
		probe(ctx)
	}
}

// served says which server answered.
func served(ctx context.Context, r *ReplicaReader) (string, error) {
	return Read(ctx, r, func(_ context.Context, from ReplicaReads) (string, error) {
		if _, primary := from.(*fakePages); primary {
			return "primary", nil
		}
		return "replica", nil
	})
}

// After a failure the primary answers, at once, until a probe succeeds. The waits for the
// next probe grow.
func TestBreaker(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{database.ErrReplicaOther, models.Unavailable("away", nil), errors.New("refused")} {
		synctest.Test(t, func(t *testing.T) {
			replica := &fakeReplica{}
			r := newReader(replica)
			expect := func(want string) {
				t.Helper()
				got, err := served(t.Context(), r)
				require.NoError(t, err)
				require.Equal(t, want, got)
			}
			require.Error(t, r.State())
			expect("primary")
			r.probe(t.Context())
			require.NoError(t, r.State())
			expect("replica")

			replica.err = failure
			expect("primary")
			require.ErrorIs(t, r.State(), failure)
			asked := replica.asked
			for range 100 {
				expect("primary")
			}
			r.probe(t.Context())
			require.Equal(t, asked, replica.asked, "the breaker is open")
			for range 20 {
				time.Sleep(probeIntervalMax)
				r.probe(t.Context())
			}
			require.Equal(t, asked+20, replica.asked)
			replica.err = nil
			r.probe(t.Context())
			require.Equal(t, asked+20, replica.asked, "after many failures it is probed less often")
			time.Sleep(probeIntervalMax)
			r.probe(t.Context())
			expect("replica")
		})
	}
}

// A replica that is behind now and then is used. Several such reads in a row open its
// breaker. Then it is probed every second.
func TestBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		for range 10 {
			for _, err := range []error{database.ErrReplicaBehind, nil} {
				replica.err = err
				_, err := served(t.Context(), r)
				require.NoError(t, err)
				require.NoError(t, r.State())
			}
		}
		replica.err = database.ErrReplicaBehind
		for n := range 20 {
			got, err := served(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "primary", got)
			require.Equal(t, n >= behindMax-1, r.State() != nil, n)
		}
		for range 20 {
			asked := replica.asked
			time.Sleep(ProbeInterval)
			r.probe(t.Context())
			require.Equal(t, asked+1, replica.asked)
		}
		replica.err = nil
		time.Sleep(ProbeInterval)
		r.probe(t.Context())
		require.NoError(t, r.State())
	})
}

// What says nothing of the replica, or passes at once, leaves its breaker closed.
func TestBreakerStaysClosed(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{database.ErrReplicaBusy, database.ErrPrimaryPosition, models.BadInput("no such cursor")} {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		replica.err = failure
		got, err := served(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, "primary", got)
		require.NoError(t, r.State())
	}
}

// A replica that does not answer delays one read by its timeout. A caller that has gone
// says nothing of the replica.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		replica.takes = time.Hour
		gone, leave := context.WithTimeout(t.Context(), time.Millisecond)
		defer leave()
		_, err := served(gone, r)
		require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
		require.NoError(t, r.State())

		began := time.Now()
		for range 10 {
			got, err := served(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "primary", got)
		}
		require.Equal(t, time.Second, time.Since(began))
	})
}

// A question that takes long delays its own caller: the replica still answers all others.
// Several in a row open its breaker.
func TestLongQuestion(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		replica := &fakeReplica{}
		r := newReader(replica)
		r.probe(t.Context())
		long := func() {
			began := time.Now()
			got, err := Read(t.Context(), r, func(ctx context.Context, from ReplicaReads) (string, error) {
				if _, primary := from.(*fakePages); primary {
					return "primary", nil
				}
				<-ctx.Done()
				return "", models.Unavailable("the database cannot be reached", ctx.Err())
			})
			require.NoError(t, err)
			require.Equal(t, "primary", got)
			require.LessOrEqual(t, time.Since(began), r.config.Timeout)
		}
		for range 2 * slowMax {
			long()
			got, err := served(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, "replica", got)
		}
		require.EqualValues(t, 2*slowMax, r.fallbacks[slow].Load())
		for n := range slowMax {
			require.NoError(t, r.State(), n)
			long()
		}
		require.ErrorIs(t, r.State(), errSlow)
		time.Sleep(ProbeInterval)
		r.probe(t.Context())
		require.NoError(t, r.State())
	})
}

// The lag is that of the last check that the replica answered: without an answer there is
// no new one.
func TestLag(t *testing.T) {
	t.Parallel()
	replica := &fakeReplica{}
	r := newReader(replica)
	r.probe(t.Context())
	for _, step := range []struct {
		err       error
		lag, want int64
	}{
		{nil, 7, 7},
		{database.ErrReplicaBehind, 9, 9},
		{database.ErrReplicaBusy, 0, 9},
		{database.ErrPrimaryPosition, 0, 9},
		{errors.New("refused"), 0, 9},
	} {
		replica.err, replica.lag = step.err, step.lag
		_, err := served(t.Context(), r)
		require.NoError(t, err)
		require.Equal(t, step.want, r.breakers[0].lagBytes.Load(), step.err)
	}
}
