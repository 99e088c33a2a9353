package readreplica

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// several is a reader with two replicas.
type several struct {
	*ReplicaReader
	first, second *fakeReplica
}

func newSeveral(t *testing.T) several {
	t.Helper()
	s := several{first: &fakeReplica{host: "a:5432"}, second: &fakeReplica{host: "b:5432"}}
	s.ReplicaReader = newReader(s.first, s.second)
	s.probe(t.Context())
	require.NoError(t, s.State())
	return s
}

// expect reads, and says which server must answer.
func (s several) expect(t *testing.T, want string) {
	t.Helper()
	before := []int64{s.breakers[0].replied.Load(), s.breakers[1].replied.Load()}
	got, err := served(t.Context(), s.ReplicaReader)
	require.NoError(t, err)
	for n, b := range s.breakers {
		if b.replied.Load() > before[n] {
			got = b.replica.Address()
		}
	}
	require.Equal(t, want, got)
}

// While the first breaker is open, whatever for, the next replica answers, and the primary
// while both are open. After its probe the first answers again.
func TestNextReplica(t *testing.T) {
	t.Parallel()
	for _, failure := range []error{database.ErrReplicaBehind, database.ErrReplicaOther, models.Unavailable("away", nil), errors.New("refused")} {
		synctest.Test(t, func(t *testing.T) {
			s := newSeveral(t)
			reads := 1 // until its breaker opens
			if errors.Is(failure, database.ErrReplicaBehind) {
				reads = behindMax
			}
			s.expect(t, "a:5432")
			s.first.err = failure
			for range reads {
				s.expect(t, "primary")
			}
			for range 10 {
				s.expect(t, "b:5432")
			}
			require.NoError(t, s.State())
			s.second.err = failure
			for range reads {
				s.expect(t, "primary")
			}
			asked := s.first.asked + s.second.asked
			for range 10 {
				s.expect(t, "primary")
			}
			require.Equal(t, asked, s.first.asked+s.second.asked)
			require.ErrorContains(t, s.State(), "a:5432: ")
			require.ErrorContains(t, s.State(), "b:5432: ")

			s.second.err = nil
			time.Sleep(ProbeInterval)
			s.probe(t.Context())
			s.expect(t, "b:5432")
			s.first.err = nil
			time.Sleep(probeIntervalMax)
			s.probe(t.Context())
			s.expect(t, "a:5432")
		})
	}
}

// One that answers too late is passed over after several reads in a row.
func TestNextReplicaOfASlowOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t)
		for range slowMax {
			got, err := Read(t.Context(), s.ReplicaReader, func(ctx context.Context, from ReplicaReads) (string, error) {
				if _, primary := from.(*fakePages); primary {
					return "primary", nil
				}
				<-ctx.Done()
				return "", models.Unavailable("too late", ctx.Err())
			})
			require.NoError(t, err)
			require.Equal(t, "primary", got)
		}
		s.expect(t, "b:5432")
	})
}

// One that answers probes, and each read too late, is tried less and less often.
func TestReadsOfASlowReplica(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t)
		late := 0
		read := func() {
			before := s.breakers[1].replied.Load()
			_, err := Read(t.Context(), s.ReplicaReader, func(ctx context.Context, from ReplicaReads) (string, error) {
				if _, primary := from.(*fakePages); !primary && s.first.reading {
					<-ctx.Done()
					return "", models.Unavailable("too late", ctx.Err())
				}
				return "", nil
			})
			require.NoError(t, err)
			if s.breakers[1].replied.Load() == before {
				late++
			}
		}
		probe := time.Now()
		for end := time.Now().Add(20 * time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
			if time.Since(probe) >= ProbeInterval {
				s.probe(t.Context())
				probe = time.Now()
			}
			read()
		}
		require.LessOrEqual(t, late, 60*slowMax)
		require.Greater(t, late, 10*slowMax, "it is tried again")
	})
}

// One that stays behind is probed less and less often while another one answers, and every
// second while none does.
func TestProbesOfOneBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t)
		probed := func(during time.Duration) int {
			before := s.first.asked
			for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(ProbeInterval) {
				s.probe(t.Context())
			}
			return s.first.asked - before
		}
		s.first.err = database.ErrReplicaBehind
		require.LessOrEqual(t, probed(10*time.Minute), 50)
		s.expect(t, "b:5432")
		s.second.err = database.ErrReplicaOther
		require.LessOrEqual(t, probed(probeIntervalMax), 60)
		require.InDelta(t, 60, probed(time.Minute), 1)
	})
}

// While the primary has not flushed its log, no replica can have it: none is probed less
// often for that, and five reads wait at each.
func TestPrimaryNotFlushed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t)
		s.expect(t, "a:5432")
		s.first.err, s.second.err = database.ErrPrimaryNotFlushed, database.ErrPrimaryNotFlushed
		for range behindMax {
			require.NoError(t, s.breakers[0].state())
			s.expect(t, "primary")
		}
		require.Error(t, s.breakers[0].state())
		require.EqualValues(t, behindMax, s.fallbacks[notFlushed].Load())
		s.second.err = nil
		for range 20 {
			time.Sleep(ProbeInterval)
			asked := s.first.asked
			s.probe(t.Context())
			require.Equal(t, asked+1, s.first.asked)
			s.expect(t, "b:5432")
		}
		s.first.err = nil
		time.Sleep(ProbeInterval)
		s.probe(t.Context())
		s.expect(t, "a:5432")
	})
}

// A probe that hangs delays no other replica's.
func TestProbesAreApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSeveral(t)
		s.first.takes = time.Hour
		probes := s.Probes()
		require.Len(t, probes, 2)
		go probes[0](t.Context())
		s.second.err = database.ErrReplicaOther
		probes[1](t.Context())
		require.Error(t, s.breakers[1].state())
		require.NoError(t, s.breakers[0].state())
		time.Sleep(s.config.Timeout)
		synctest.Wait()
		require.ErrorIs(t, s.breakers[0].state(), context.DeadlineExceeded)
	})
}
