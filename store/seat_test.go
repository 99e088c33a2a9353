package store

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/models"
)

// patient is a caller, and what became of it.
type patient struct {
	answered bool
	err      error
	after    time.Duration
}

// waits submits one more unit of a product, and comes back when everybody waits for
// something.
func (p *patient) waits(ctx context.Context, c *combiner, key, product string) {
	began := time.Now()
	go func() {
		_, p.err = c.submit(ctx, receive(key, product, 1))
		p.answered, p.after = true, time.Since(began)
	}()
	synctest.Wait()
}

// requireLate asks that the caller was told that its time is over, when it was.
func (p *patient) requireLate(t *testing.T) {
	t.Helper()
	synctest.Wait()
	require.True(t, p.answered)
	require.Equal(t, models.CodeUnavailable, models.CodeOf(p.err))
	require.GreaterOrEqual(t, p.after, writeWait)
	require.LessOrEqual(t, p.after, writeWait+lookEvery)
}

// requireIdle asks that nothing is left of anybody.
func requireIdle(t *testing.T, c *combiner) {
	t.Helper()
	time.Sleep(2 * lookEvery)
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	require.Zero(t, c.flights)
	require.Empty(t, c.flying)
	require.Empty(t, c.waiting)
	require.Empty(t, c.aside)
	require.False(t, c.looking)
}

// Whose time is over is told so, aside, on the way or in line, whether or not the
// caller's context can end; and what comes of it later changes nothing.
func TestCombinerTellsTheLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFakeTruth()
		release := sync.OnceFunc(func() { close(f.released) })
		defer release()
		f.lock("kept")
		var aside, flying, inLine patient
		aside.waits(t.Context(), c, "aside", "kept")
		f.released <- struct{}{}
		flying.waits(context.Background(), c, "on the way", "x")
		inLine.waits(t.Context(), c, "in line", "x")
		waiting, stepped := c.line()
		require.Equal(t, []int{1, 1}, []int{waiting, stepped})

		time.Sleep(writeWait + 2*lookEvery)
		for _, p := range []*patient{&aside, &flying, &inLine} {
			p.requireLate(t)
		}
		release()
		requireIdle(t, c)
		require.Equal(t, [][]string{{"aside"}, {"on the way"}}, f.batches, "who was told is not written any more")

		var later patient
		later.waits(t.Context(), c, "later", "x")
		require.True(t, later.answered)
		require.NoError(t, later.err)
		requireIdle(t, c)
	})
}

// Whose time is over before the plan is sent is told so, and takes nothing.
func TestPlanTellsTheLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFakePlans()
		release := sync.OnceFunc(func() { close(f.released) })
		defer release()
		var flying, planned patient
		flying.waits(t.Context(), c, "on the way", "x")
		planned.waits(t.Context(), c, "planned", "x")
		require.Equal(t, 1, c.ahead.size())
		time.Sleep(writeWait + 2*lookEvery)
		flying.requireLate(t)
		planned.requireLate(t)
		release()
		requireIdle(t, c)
		require.Equal(t, [][]string{{"on the way"}}, f.plans)
		require.Empty(t, f.batches)
	})
}

// Nobody is told before his time, whenever between two looks he came, and after how
// many.
func TestCombinerTellsNobodyEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFakeTruth()
		release := sync.OnceFunc(func() { close(f.released) })
		defer release()
		callers := make([]patient, 12)
		for i := range callers {
			callers[i].waits(t.Context(), c, "patient", "x")
			time.Sleep(lookEvery / 3)
		}
		time.Sleep(writeWait + lookEvery)
		for i := range callers {
			callers[i].requireLate(t)
		}
		release()
		requireIdle(t, c)
	})
}

// Who stepped aside out of a flight and is in the next one before the others of the
// first are answered is told in time there too.
func TestCombinerTellsTheLateOfTwoFlights(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, c := newFakeTruth()
		redis := make(chan struct{}) // takes its time to be told
		release := sync.OnceFunc(func() { close(f.released); close(redis) })
		defer release()
		c.tell = func(context.Context, models.Outcome) { <-redis }
		f.lock("kept")
		var first, aside, other patient
		first.waits(t.Context(), c, "first", "x")
		aside.waits(t.Context(), c, "aside", "kept")
		other.waits(t.Context(), c, "other", "x")
		f.released <- struct{}{} // the first
		redis <- struct{}{}
		f.released <- struct{}{} // both: one steps aside
		f.released <- struct{}{} // the other alone
		f.lock()
		time.Sleep(2 * lockPoll)
		synctest.Wait()
		require.False(t, other.answered)
		require.Equal(t, 1, c.flights, "who stepped aside is on the way again")
		redis <- struct{}{}
		synctest.Wait()
		require.True(t, other.answered)
		require.NoError(t, other.err)

		time.Sleep(writeWait)
		aside.requireLate(t)
		release()
		requireIdle(t, c)
	})
}
