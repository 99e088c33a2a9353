package backoff

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestJitter: two sequences of jittered intervals drift apart, and each interval
// stays within a tenth of the wanted one.
func TestJitter(t *testing.T) {
	t.Parallel()
	const interval, turns = time.Second, 200
	var first, second time.Duration
	apart := false
	for range turns {
		d := Jitter(interval)
		require.InDelta(t, interval, d, float64(interval)/10)
		first, second = first+d, second+Jitter(interval)
		apart = apart || (first-second).Abs() > interval/10
	}
	require.True(t, apart)
	require.InDelta(t, turns*interval, first, float64(turns*interval)/20)
	require.Zero(t, Jitter(0))
}

// TestBackoff: waits double up to the limit, two sequences differ, and Reset
// starts again with the shortest wait.
func TestBackoff(t *testing.T) {
	t.Parallel()
	const least, most = 100 * time.Millisecond, time.Second
	b, other := Backoff{Min: least, Max: most}, Backoff{Min: least, Max: most}
	var waits, others []time.Duration
	for range 8 {
		waits, others = append(waits, b.Next()), append(others, other.Next())
	}
	require.NotEqual(t, waits, others)
	for i, wait := range waits {
		whole := min(least<<i, most)
		require.GreaterOrEqual(t, wait, whole/2)
		require.LessOrEqual(t, wait, whole)
	}
	b.Reset()
	require.LessOrEqual(t, b.Next(), least)
}
