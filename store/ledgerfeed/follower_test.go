package ledgerfeed

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

// scriptedReader gives one answer after the other, and then none.
type scriptedReader struct {
	answers []readAnswer
	at      []time.Time // of each reading
}

type readAnswer struct {
	moved []database.Moved
	more  bool
	err   error
}

func (r *scriptedReader) Next(context.Context) ([]database.Moved, bool, error) {
	r.at = append(r.at, time.Now())
	if len(r.answers) == 0 {
		return nil, false, nil
	}
	next := r.answers[0]
	r.answers = r.answers[1:]
	return next.moved, next.more, next.err
}

var oneMovement = []database.Moved{{StockMovement: &models.StockMovement{MovementID: 1}}}

// gaps are the times between the readings.
func (r *scriptedReader) gaps() (gaps []time.Duration) {
	for i := 1; i < len(r.at); i++ {
		gaps = append(gaps, r.at[i].Sub(r.at[i-1]))
	}
	return gaps
}

// While the database is away, a follower reads less and less often, and two
// followers at different times. Once it is back, they poll as before.
func TestFollowersBackOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const failures = 8
		var all [2][]time.Duration
		for i := range all {
			r := &scriptedReader{}
			for range failures {
				r.answers = append(r.answers, readAnswer{err: models.Unavailable("away", nil)})
			}
			r.answers = append(r.answers, readAnswer{}, readAnswer{moved: oneMovement})
			f := newFollower(r, newBroadcast(), func() {})
			moved, err := f.read(t.Context())
			require.NoError(t, err)
			require.Equal(t, oneMovement, moved)
			require.LessOrEqual(t, f.away.Next(), pollInterval, "the backoff begins again")
			all[i] = r.gaps()
		}
		require.NotEqual(t, all[0], all[1])
		waits := all[0]
		require.LessOrEqual(t, waits[0], pollInterval)
		for _, wait := range waits[3:failures] {
			require.GreaterOrEqual(t, wait, awayWaitMax/2)
			require.LessOrEqual(t, wait, awayWaitMax)
		}
		require.InDelta(t, pollInterval, waits[failures], float64(pollInterval)/10, "it polls again")
	})
}

// A commit of this process wakes a follower after a short delay, in which more
// commits may join. While the database is away, it does not.
func TestCommitsWakeFollowers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &scriptedReader{answers: []readAnswer{{more: true}, {}, {moved: oneMovement}}}
		written := newBroadcast()
		f := newFollower(r, written, func() {})
		done := make(chan error)
		next := func() { _, err := f.read(t.Context()); done <- err }
		go next()
		synctest.Wait()
		require.Len(t, r.at, 2, "more is read at once")
		time.Sleep(time.Millisecond)
		written.send()
		written.send()
		require.NoError(t, <-done)
		require.Equal(t, []time.Duration{0, time.Millisecond + wakeDelay}, r.gaps())

		r.at, r.answers = nil, []readAnswer{{err: models.Unavailable("away", nil)}, {moved: oneMovement}}
		go next()
		synctest.Wait()
		written.send()
		require.NoError(t, <-done)
		require.GreaterOrEqual(t, r.gaps()[0], pollInterval/2)
	})
}

// A commit between a reading and the wait for the next one is not missed.
func TestCommitDuringAReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		written := newBroadcast()
		r := &committingReader{written: written}
		began := time.Now()
		_, err := newFollower(r, written, func() {}).read(t.Context())
		require.NoError(t, err)
		require.Equal(t, wakeDelay, time.Since(began))
	})
}

// committingReader finds nothing, while another goroutine commits, and then that.
type committingReader struct {
	written *broadcast
	read    bool
}

func (r *committingReader) Next(context.Context) ([]database.Moved, bool, error) {
	if r.read {
		return oneMovement, false, nil
	}
	r.read = true
	r.written.send()
	return nil, false, nil
}

// A follower ends with its context, when it is closed, when all are stopped, and
// with an error that waiting cannot mend.
func TestFollowersEnd(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		answers []readAnswer
		end     func(f *follower, cancel func())
		want    error
	}{
		"context": {nil, func(_ *follower, cancel func()) { cancel() }, context.Canceled},
		"closed":  {nil, func(f *follower, _ func()) { f.Close(); f.Close() }, errFollowerEnded},
		"stopped": {nil, func(f *follower, _ func()) { f.written.end(); f.written.end() }, errFollowerEnded},
		"away":    {[]readAnswer{{err: models.Unavailable("away", nil)}}, func(f *follower, _ func()) { f.Close() }, errFollowerEnded},
		"broken":  {[]readAnswer{{err: broken}}, func(*follower, func()) {}, broken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dismissed := 0
				f := newFollower(&scriptedReader{answers: c.answers}, newBroadcast(), func() { dismissed++ })
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				go func() { _, err := f.read(ctx); ended <- err }()
				synctest.Wait()
				c.end(f, cancel)
				require.ErrorIs(t, <-ended, c.want)
				f.Close()
				require.Equal(t, 1, dismissed)
			})
		})
	}
}
