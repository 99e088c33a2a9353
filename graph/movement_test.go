package graph

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"onhand/graph/generated"
)

// TestFilterTimesAreMilliseconds: the API writes milliseconds, so a filter with such a
// time matches every movement of that millisecond.
func TestFilterTimesAreMilliseconds(t *testing.T) {
	t.Parallel()
	happened := time.Date(2030, 1, 1, 0, 0, 0, 123_456_000, time.UTC)
	written := happened.Truncate(time.Millisecond)
	f, err := movementFilter(t.Context(), &generated.StockMovementFilter{Since: &written, Until: &written})
	require.NoError(t, err)
	require.False(t, f.Since.After(happened))
	require.False(t, f.Until.Before(happened))
	require.True(t, f.Until.Before(written.Add(time.Millisecond)))
}
