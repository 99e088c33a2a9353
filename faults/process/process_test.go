package process

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseMetrics(t *testing.T) {
	t.Parallel()
	m, err := parseMetrics(strings.NewReader("# HELP go_goroutines x\ngo_goroutines 17\nonhand_writes_total{kind=\"a b\",outcome=\"replayed\"} 3\nnot a number x\n"))
	require.NoError(t, err)
	assert.Equal(t, Metrics{"go_goroutines": 17, `onhand_writes_total{kind="a b",outcome="replayed"}`: 3}, m)
}

// TestModuleRoot: the product is built from the directory above this module.
func TestModuleRoot(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	require.NoError(t, err)
	assert.Contains(t, readFile(t, root+"/go.mod"), "module onhand\n")
}
