package store

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// landed is a combiner whose transaction has just landed.
func landed(l landing, gatherWait time.Duration) (*fakeTruth, *combiner) {
	f, c := newFakeTruth()
	close(f.released)
	c.gatherWait, c.flights = gatherWait, 1
	c.land(l)
	return f, c
}

// arrive has so many callers submit at once; all are answered when the group is
// done.
func arrive(t *testing.T, c *combiner, callers int) *sync.WaitGroup {
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			_, err := c.submit(t.Context(), receive(strconv.Itoa(i), "x", 1))
			assert.NoError(t, err)
		})
	}
	return &group
}

// As many as were answered, and nobody had been in line: the last of them starts
// the transaction.
func TestGatherWaitsForThoseJustAnswered(t *testing.T) {
	t.Parallel()
	f, c := landed(landing{5, 1, false, time.Hour}, time.Hour)
	first := arrive(t, c, 4)
	eventually(t, func() bool { waiting, _ := c.line(); return waiting == 4 })
	assert.Empty(t, f.started, "one is still to come")
	arrive(t, c, 1).Wait()
	first.Wait()
	require.Len(t, f.started, 1)
	require.Equal(t, 5, <-f.started)
}

// The wait is over although they do not come: after the time that the last
// transaction took, and never later than the bound says.
func TestGatherEndsWithoutThem(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ took, bound time.Duration }{
		"as long as it took": {time.Millisecond, time.Hour},
		"the bound":          {time.Hour, time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFakeTruth()
			close(f.released)
			c.gatherWait, c.flights = is.bound, 1
			one := arrive(t, c, 1)
			eventually(t, func() bool { waiting, _ := c.line(); return waiting == 1 })
			c.land(landing{5, 1, false, is.took}) // with one in line, so that nothing but the end of the wait starts it
			one.Wait()
			require.Len(t, f.started, 1)
		})
	}
}

// A lone caller does not wait after a transaction of few, nor do many for all of
// those who were more.
func TestGatherIsBounded(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		landing landing
		callers int
	}{
		"after few, nobody waits":                        {landing{gatherFrom - 1, 1, false, time.Hour}, 1},
		"many are enough":                                {landing{10 * gatherEnough, 1, false, time.Hour}, gatherEnough},
		"and many more where others change the product":  {landing{10 * gatherEnough, 1, true, time.Hour}, gatherShared},
		"fewer, where each changes a product of its own": {landing{gatherEnough, gatherEnough, false, time.Hour}, gatherWork / (1 + gatherChange)},
		"one, where each changes many":                   {landing{gatherEnough, 100 * gatherEnough, false, time.Hour}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := landed(is.landing, time.Hour)
			arrive(t, c, is.callers).Wait()
			require.Len(t, f.started, 1)
			require.Equal(t, is.callers, <-f.started)
		})
	}
}
