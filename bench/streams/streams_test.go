package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/bench/testbed"
	"onhand/store/storetest"
)

// TestMain also is the program, for the floors that variants start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"floor", "publisher"}, os.Args[1]) {
		main()
		return
	}
	storetest.Main(m)
}

// TestRowsAreMeasured runs every workload for a moment, with few clients, on real servers and the built program.
func TestRowsAreMeasured(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	program := filepath.Join(t.TempDir(), "onhand")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "onhand").CombinedOutput()
	require.NoError(t, err, "%s", out)
	servers, err := testbed.Start(false)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, servers.Close()) })
	var log bytes.Buffer
	c := &streamCommand{
		Row: ".", Rounds: 2, Changes: 3, Samples: 10, Length: 200 * time.Millisecond, Clients: 2_000, Idle: 100 * time.Millisecond,
		Server: program, out: &log, servers: servers,
	}
	list, err := c.measure(t.Context(), workloads())
	require.NoError(t, err, "%s", &log)
	require.Len(t, list, len(rowNames()))
	for _, r := range list {
		assert.NotZero(t, r.Beside, r.Row)
	}
}

// TestVersionIn: the version is read from the messages of both servers.
func TestVersionIn(t *testing.T) {
	t.Parallel()
	version, ok := versionIn(floorMessage("product-1", 12))
	assert.True(t, ok)
	assert.EqualValues(t, 12, version)
	_, ok = versionIn([]byte(`{"type":"ping"}`))
	assert.False(t, ok)
}
