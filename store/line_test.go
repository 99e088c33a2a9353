package store

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"onhand/models"
	"onhand/store/database"
)

// TestAFullLineRefuses: as many writes wait as the bound says; the next one is
// told at once to come back.
func TestAFullLineRefuses(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	c := &combiner{tell: func(context.Context, database.Outcome) {}, run: func(_ context.Context, writes []models.Write) (database.Outcome, error) {
		<-release
		return database.Outcome{Results: make([]models.WriteResult, len(writes))}, nil
	}}
	answered := make(chan error, 1+writeWaitingMax)
	for i := range cap(answered) {
		go func() {
			_, err := c.submit(t.Context(), receive(fmt.Sprint(i), "x", 1))
			answered <- err
		}()
	}
	eventually(t, func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.waiting) == writeWaitingMax })
	_, err := c.submit(t.Context(), receive("one too many", "x", 1))
	require.Equal(t, models.CodeUnavailable, models.CodeOf(err))
	require.ErrorContains(t, err, "too many writes are waiting")
	close(release)
	for range cap(answered) {
		require.NoError(t, <-answered)
	}
}
