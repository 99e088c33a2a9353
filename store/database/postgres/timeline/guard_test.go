package timeline

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A replaced primary is refused while its successor answers, and believed when that has
// been away for long: then it was restored.
func TestAdmit(t *testing.T) {
	t.Parallel()
	var g Guard
	now := time.Now()
	before, after, other := place{"a", 3}, place{"a", 4}, place{"b", 1}
	require.NoError(t, g.admit(before, now))
	require.NoError(t, g.admit(after, now))
	require.ErrorContains(t, g.admit(before, now), "timeline 3, and another one was promoted to timeline 4")
	require.NoError(t, g.admit(other, now), "another cluster")
	require.NoError(t, g.admit(place{}, now), "it does not tell")
	require.NoError(t, g.admit(after, now.Add(Patience/2)))
	require.Error(t, g.admit(before, now.Add(Patience)))
	require.NoError(t, g.admit(before, now.Add(2*Patience)))
	require.NoError(t, g.admit(after, now.Add(2*Patience)))
	require.Error(t, g.admit(before, now.Add(2*Patience)))
}
