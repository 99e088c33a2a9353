package storetest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStat(t *testing.T) {
	t.Parallel()
	e, ok := parseStat([]byte("4 (a) R (b) T 17 4 4 0"))
	require.True(t, ok)
	require.Equal(t, processEntry{parent: 17, state: 'T'}, e)
	for _, broken := range []string{"", "4 (a", "4 (a)", "4 (a) S", "4 (a) S x"} {
		_, ok := parseStat([]byte(broken))
		require.False(t, ok, broken)
	}
}
