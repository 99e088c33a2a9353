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
	before, after, other := serverTimeline{"a", 3}, serverTimeline{"a", 4}, serverTimeline{"b", 1}
	require.NoError(t, g.admit(before, now))
	require.NoError(t, g.admit(after, now))
	require.ErrorContains(t, g.admit(before, now), "timeline 3, and another one was promoted to timeline 4")
	require.NoError(t, g.admit(other, now), "another cluster")
	require.NoError(t, g.admit(serverTimeline{}, now), "it does not tell")
	require.NoError(t, g.admit(after, now.Add(Patience/2)))
	require.Error(t, g.admit(before, now.Add(Patience)))
	require.NoError(t, g.admit(before, now.Add(2*Patience)))
	require.NoError(t, g.admit(after, now.Add(2*Patience)))
	require.Error(t, g.admit(before, now.Add(2*Patience)))
}
