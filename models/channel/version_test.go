package channel

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// TestVersionOrders: the version of a view orders the revision first, then the
// product's version. It names both, and it stays below 2^53 at both bounds.
func TestVersionOrders(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		one, two := rapid.Int64Range(1, RevisionMax).Draw(t, "revision"), rapid.Int64Range(1, RevisionMax).Draw(t, "revision")
		product := rapid.Int64Range(0, ProductVersionMax).Draw(t, "version")
		lag := rapid.Int64Range(0, min(product, 1<<revisionBits-1)).Draw(t, "lag")
		older, newer := min(one, two), max(one, two)
		if older == newer {
			require.Equal(t, lag > 0, Version(older, product-lag) < Version(older, product))
			return
		}
		require.Less(t, Version(older, product), Version(newer, product-lag), "the revision is what counts")
		require.Less(t, Version(older, product-lag), Version(newer, product))
	})
	require.Equal(t, int64(1)<<53-1, Version(RevisionMax, ProductVersionMax)+1<<revisionBits)
	require.Less(t, Version(RevisionMax, ProductVersionMax), int64(1)<<53)
}
