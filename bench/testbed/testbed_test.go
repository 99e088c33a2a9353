package testbed

import (
	"bufio"
	"bytes"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseProcess(t *testing.T) {
	t.Parallel()
	line := "42 (a) b (c) S 7 1 1 0 -1 0 0 0 0 0 100 50 9 9 20 0"
	pid, p, ok := parseProcess([]byte(line))
	require.True(t, ok)
	require.Equal(t, 42, pid)
	require.Equal(t, processTimes{parent: 7, name: "a) b (c", spent: 150 * tick}, p)
	_, p, ok = parseProcess([]byte(strings.Replace(line, "42", strconv.Itoa(os.Getpid()), 1)))
	require.True(t, ok)
	require.Equal(t, processTimes{parent: 7, name: thisProcess, spent: 168 * tick}, p)
	for _, broken := range []string{"", "42", "42 (a", "42 (a) S 7"} {
		_, _, ok := parseProcess([]byte(broken))
		require.False(t, ok, broken)
	}
}

// TestProcessCPU: CPU time is counted below the unit of the process table, for a process and for the tree below it.
func TestProcessCPU(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("skipped: CPU times are read on Linux")
	}
	child := exec.CommandContext(t.Context(), "sh", "-c", "n=0; while [ $n -lt 2000 ]; do n=$((n+1)); done; echo done; read _")
	input, err := child.StdinPipe()
	require.NoError(t, err)
	output, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	_, err = bufio.NewReader(output).ReadString('\n')
	require.NoError(t, err)
	spent := ProcessCPU(child.Process.Pid)
	require.Positive(t, spent)
	require.NotZero(t, spent%tick)
	require.GreaterOrEqual(t, TreeCPU(child.Process.Pid), spent)
	require.GreaterOrEqual(t, TreeCPU(os.Getpid()), spent)
	require.NoError(t, input.Close())
	require.Error(t, child.Wait()) // read has no line
	require.Zero(t, ProcessCPU(child.Process.Pid))
}

func TestPerCall(t *testing.T) {
	t.Parallel()
	before := CPU{"postgres": time.Second, "redis-server": time.Second}
	after := CPU{"postgres": 2 * time.Second, "redis-server": time.Second, thisProcess: time.Millisecond}
	require.Equal(t, "postgres 1000.0, this process 1.0", PerCall(before, after, 1000))
}

// TestLogTail: the end of a log is kept.
func TestLogTail(t *testing.T) {
	t.Parallel()
	var l logTail
	for range 3 {
		_, err := l.Write(bytes.Repeat([]byte("x"), logBytesMax))
		require.NoError(t, err)
	}
	_, err := l.Write([]byte("the end"))
	require.NoError(t, err)
	require.Len(t, l.String(), logBytesMax)
	require.Contains(t, l.String(), "xthe end")
}

// TestFigureOf: a number is found by its whole name.
func TestFigureOf(t *testing.T) {
	t.Parallel()
	const info = "# Memory\r\nused_memory_rss:7\r\nused_memory:42\r\nused_memory_human:42B\r\n"
	got, err := figureOf(info, "used_memory")
	require.NoError(t, err)
	require.Equal(t, 42.0, got)
	_, err = figureOf(info, "memory")
	require.ErrorContains(t, err, "no memory in INFO")
	_, err = figureOf(info, "used_memory_human")
	require.Error(t, err)
}
