package pace

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestAround: two that wait as long do not wait as long, and both go about as
// often as they should.
func TestAround(t *testing.T) {
	t.Parallel()
	const wait, turns = time.Second, 200
	var first, second time.Duration
	apart := false
	for range turns {
		d := Around(wait)
		require.InDelta(t, wait, d, float64(wait)/10)
		first, second = first+d, second+Around(wait)
		apart = apart || (first-second).Abs() > wait/10
	}
	require.True(t, apart)
	require.InDelta(t, turns*wait, first, float64(turns*wait)/20)
	require.Zero(t, Around(0))
}

// TestBackoff: it doubles up to its limit, no two alike, and begins anew.
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
