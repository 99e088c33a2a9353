package process

import (
	"net"
	"strings"
	"syscall"
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

// TestHeldAddress: no other listener gets the port that is held, nothing answers there, and it is free when it is released.
func TestHeldAddress(t *testing.T) {
	t.Parallel()
	address, release := heldAddress(t)
	_, err := net.Listen("tcp4", address)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	_, err = net.Dial("tcp4", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	release()
	release()
	listener, err := net.Listen("tcp4", address)
	require.NoError(t, err)
	require.NoError(t, listener.Close())
}

// TestModuleRoot: the product is built from the directory above this module.
func TestModuleRoot(t *testing.T) {
	t.Parallel()
	root, err := moduleRoot()
	require.NoError(t, err)
	assert.Contains(t, readFile(t, root+"/go.mod"), "module onhand\n")
}
