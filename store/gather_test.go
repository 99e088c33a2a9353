package store

import (
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// gatherFor has the combiner wait as it does after a transaction.
func gatherFor(c *combiner, answered int, wait time.Duration) {
	c.gatherWait = wait
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gather(answered, time.Hour)
	c.launch()
}

// arrive has so many callers submit at once, and tells when all are answered.
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

func TestGatherWaitsForThoseJustAnswered(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	close(f.released)
	gatherFor(c, 5, time.Hour)
	first := arrive(t, c, 4)
	eventually(t, func() bool { waiting, _ := c.line(); return waiting == 4 })
	assert.Empty(t, f.started, "one is still to come")
	arrive(t, c, 1).Wait()
	first.Wait()
	assert.Equal(t, 5, <-f.started)
	assert.Empty(t, f.started)
}

func TestGatherEndsWithoutThem(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	close(f.released)
	gatherFor(c, 5, time.Millisecond)
	arrive(t, c, 1).Wait()
	assert.Equal(t, 1, <-f.started)
}

func TestGatherIsBounded(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct{ answered, callers int }{
		"after few, nobody waits": {gatherFrom - 1, 1},
		"many are enough":         {10 * gatherEnough, gatherEnough},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, c := newFakeTruth()
			close(f.released)
			gatherFor(c, is.answered, time.Hour)
			arrive(t, c, is.callers).Wait()
			assert.Equal(t, is.callers, <-f.started)
		})
	}
}
