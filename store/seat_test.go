package store

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/models"
)

// Whose time is over is told so, in line, aside or on the way, whether or not the
// caller has a patience of its own; and what comes of it later changes nothing.
func TestCombinerTellsTheLate(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	errs := make(chan error, 3)
	submit := func(ctx context.Context, key string) {
		go func() {
			_, err := c.submit(ctx, receive(key, "x", 1))
			errs <- err
		}()
	}
	submit(context.Background(), "on the way")
	require.Equal(t, 1, <-f.started)
	submit(context.Background(), "in line")
	submit(t.Context(), "with a context")
	eventually(t, func() bool { waiting, _ := c.line(); return waiting == 2 })

	c.mu.Lock()
	c.looks += looksMax // as if so many had passed
	c.mu.Unlock()
	for range 3 {
		assert.Equal(t, models.CodeUnavailable, models.CodeOf(<-errs))
	}
	close(f.released)
	eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.flights == 0 && len(c.flying) == 0 && len(c.waiting) == 0 && !c.watched
	})
	require.Len(t, f.batches, 1, "who was told is not written any more")

	_, err := c.submit(t.Context(), receive("later", "x", 1))
	require.NoError(t, err)
}

// Nobody is told before his time.
func TestCombinerTellsNobodyEarly(t *testing.T) {
	t.Parallel()
	f, c := newFakeTruth()
	told := make(chan error, 1)
	began := time.Now()
	go func() {
		_, err := c.submit(context.Background(), receive("patient", "x", 1))
		told <- err
	}()
	<-f.started
	c.mu.Lock()
	c.looks += looksMax - 2
	joined := c.looks
	c.mu.Unlock()
	eventually(t, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.looks > joined
	})
	select {
	case err := <-told:
		t.Fatalf("told after %v: %v", time.Since(began), err)
	default:
	}
	close(f.released)
	require.NoError(t, <-told)
}
