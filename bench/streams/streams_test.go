package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"onhand/bench/results"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

// TestMain also is the program, for the floors that variants start.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"floor", "publisher", "watch"}, os.Args[1]) {
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
	require.NoError(t, c.inShop(t.Context(), []int{2}, func(shop *shop, instances int) error {
		many, err := c.many(t.Context(), shop, instances, 50)
		if err == nil {
			assert.Len(t, many, 5)
			assert.NotZero(t, many[1], "CPU of a delivery")
			assert.NotZero(t, many[3], "latency")
		}
		return err
	}))
}

// TestParseChange: the clients of another process get a version, and when it was.
func TestParseChange(t *testing.T) {
	t.Parallel()
	now := time.Now()
	version, sent, err := parseChange("12 " + strconv.FormatInt(now.UnixNano(), 10))
	require.NoError(t, err)
	assert.EqualValues(t, 12, version)
	assert.True(t, now.Equal(sent))
	for _, broken := range []string{"", "12", "x 1", "1 x"} {
		_, _, err := parseChange(broken)
		assert.Error(t, err, broken)
	}
	c := &crowd{clients: []*subscriber{{at: int64(now.Sub(started)) + 5_000_000}}}
	assert.InDelta(t, 5_000, c.since(now)[0], 100)
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

// TestKeptTables: the tables of --growth that are kept have the columns and lines that a run measures.
func TestKeptTables(t *testing.T) {
	t.Parallel()
	kept, err := results.ReadGrowth(filepath.Join("..", "..", results.GrowthPath))
	require.NoError(t, err)
	for _, one := range growthTables() {
		assert.NoError(t, kept[one.name].Whole(one.columns, one.lines), one.name)
	}
}
