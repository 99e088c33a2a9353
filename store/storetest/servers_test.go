package storetest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// helperVariable names the task of the re-executed test program.
const helperVariable = "ONHAND_STORETEST_HELPER"

// cleanupLimit is how long after the end of a test process its servers may still be there.
const cleanupLimit = 20 * time.Second

func TestMain(m *testing.M) {
	if task := os.Getenv(helperVariable); task != "" {
		if err := help(task); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	Main(m)
}

// serverReport is the output of the helper, before it waits to be killed.
type serverReport struct {
	Directories, Addresses []string
	Pids                   []int
}

// help starts one server of each kind, reports them on its output, and then ends in the way that task names.
func help(task string) error {
	postgres, err := StartPostgres()
	if err != nil {
		return err
	}
	redis, err := StartRedis()
	if err != nil {
		return err
	}
	r := serverReport{
		Directories: []string{postgres.directory, redis.directory},
		Addresses:   []string{fmt.Sprintf("127.0.0.1:%d", postgres.port), redis.Addr()},
	}
	table, err := processTable()
	if err != nil {
		return err
	}
	for pid, e := range table {
		for _, root := range []int{postgres.process.pid(), redis.process.pid()} {
			if pid == root || e.parent == root {
				r.Pids = append(r.Pids, pid)
			}
		}
		if pid == postgres.guard.cmd.Process.Pid || pid == redis.guard.cmd.Process.Pid {
			r.Pids = append(r.Pids, pid)
		}
	}
	if task == "frozen" {
		for _, freeze := range []func() error{postgres.Freeze, redis.Freeze} {
			if err := freeze(); err != nil {
				return err
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return err
	}
	if task == "exit" {
		return nil // without closing anything
	}
	select {}
}

// TestNothingOutlivesTheProcess: a test process that is killed, or exits without closing, leaves no server, no guard and no
// file.
func TestNothingOutlivesTheProcess(t *testing.T) {
	needServers(t)
	for _, task := range []string{"killed", "frozen", "exit"} {
		t.Run(task, func(t *testing.T) {
			t.Parallel()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), helperVariable+"="+task)
			cmd.Stderr = os.Stderr
			output, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())

			var r serverReport
			line, err := bufio.NewReader(output).ReadBytes('\n')
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(line, &r))
			require.Greater(t, len(r.Pids), 5, "two servers, two guards, and the children of Postgres")
			if task != "exit" {
				require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
			}
			_ = cmd.Wait() // killed is what we asked for

			require.Eventually(t, func() bool { return len(leftovers(t, r)) == 0 }, cleanupLimit, 20*time.Millisecond)
			require.Empty(t, leftovers(t, r))
		})
	}
}

// needServers is for tests that start servers without the functions for tests.
func needServers(t *testing.T) {
	t.Helper()
	_, err := findPostgres()
	requireServer(t, err)
	_, err = findRedis()
	requireServer(t, err)
}

// leftovers lists what is still there of the servers in r.
func leftovers(t *testing.T, r serverReport) []string {
	var found []string
	table, err := processTable()
	require.NoError(t, err)
	for _, pid := range r.Pids {
		if !table[pid].gone() {
			found = append(found, "process "+strconv.Itoa(pid))
		}
	}
	for _, address := range r.Addresses {
		if connection, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			connection.Close()
			found = append(found, address)
		}
	}
	for _, directory := range r.Directories {
		if _, err := os.Stat(directory); err == nil {
			found = append(found, directory)
		}
	}
	return found
}

// TestServerOutlivesTheCallersThread: the kernel watches the thread that started a server, not the process. A server must
// survive the end of the goroutine that asked for it, even when its thread ends too.
func TestServerOutlivesTheCallersThread(t *testing.T) {
	t.Parallel()
	type result struct {
		server *RedisServer
		err    error
	}
	started := make(chan result)
	var thread int
	var startHere func()
	startHere = func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if thread = threadID(); thread == os.Getpid() {
			// The first thread of a process never ends. While it is locked here, another goroutine gets another thread.
			done := make(chan struct{})
			go func() { defer close(done); startHere() }()
			<-done
			return
		}
		server, err := StartRedis()
		started <- result{server, err}
	}
	go startHere()
	r := <-started
	requireServer(t, r.err)
	closeAtEnd(t, r.server.Close)
	require.Eventually(t, func() bool { return !threadExists(thread) }, cleanupLimit, time.Millisecond)

	for range 20 {
		runtime.GC() // an occasion for the runtime to change its threads
	}
	time.Sleep(50 * time.Millisecond) // a signal that must not come has no event to wait for
	require.True(t, r.server.running())
	require.Equal(t, "+PONG", ask(t, r.server, "PING"))
}

func TestPortsAreBelowTheEphemeralRange(t *testing.T) {
	t.Parallel()
	for range 100 {
		port, err := freePort()
		require.NoError(t, err)
		require.GreaterOrEqual(t, port, portMin)
		require.Less(t, port, 32768)
	}
}

// TestTakenPort: when another process takes the port between our probe and the server's own, another port is tried. A
// server that starts again waits until its port is free.
func TestTakenPort(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"redis", kindPostgres} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var s *server
			if kind == kindPostgres {
				s = &PrivatePostgres(t).server
			} else {
				s = &Redis(t).server
			}
			require.NoError(t, s.Stop())
			squatter, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", s.port))
			require.NoError(t, err)
			s.mu.Lock()
			err = s.start()
			s.mu.Unlock()
			require.ErrorIs(t, err, errPortTaken)

			time.AfterFunc(3*restartEvery, func() { squatter.Close() })
			require.NoError(t, s.Start())
			require.NoError(t, s.Stop())
		})
	}
}

func TestStartReportsWhyItFailed(t *testing.T) {
	t.Parallel()
	needServers(t)
	_, err := StartRedis(WithSetting("no-such-setting", "1"))
	require.ErrorContains(t, err, "no-such-setting")
}

// TestMissingProgram is not parallel: a test that forks while the script is written would inherit the open file, and an open
// file cannot be run.
func TestMissingProgram(t *testing.T) {
	_, err := findProgram("redis-server", redisMajorMin, []string{t.TempDir()})
	require.ErrorIs(t, err, ErrNotInstalled)
	require.ErrorContains(t, err, "apt-get install postgresql redis-server")

	old := t.TempDir()
	script := "#!/bin/sh\necho 'Redis server v=6.2.1 sha=0'\n"
	require.NoError(t, os.WriteFile(filepath.Join(old, "redis-server"), []byte(script), 0o755))
	_, err = findProgram("redis-server", redisMajorMin, []string{old})
	require.ErrorIs(t, err, ErrNotInstalled)
	require.ErrorContains(t, err, "version 6")
}

// fakeTest records what requireServer does with a test.
type fakeTest struct {
	testing.TB
	word string
}

func (f *fakeTest) Helper()               {}
func (f *fakeTest) Skipf(string, ...any)  { f.word = "skipped" }
func (f *fakeTest) Fatalf(string, ...any) { f.word = "failed" }

func TestMissingProgramFailsUnlessAllowed(t *testing.T) {
	missing := fmt.Errorf("redis: %w", ErrNotInstalled)
	for _, c := range []struct {
		variable string
		err      error
		want     string
	}{
		{"", nil, ""},
		{"", missing, "failed"},
		{"embedded", missing, "skipped"},
		{"embedded", errPortTaken, "failed"},
	} {
		t.Setenv("ONHAND_TEST_SERVERS", c.variable)
		f := &fakeTest{TB: t}
		requireServer(f, c.err)
		require.Equal(t, c.want, f.word)
	}
}

// TestDirectoryBelowAClosedOne: the account of Postgres cannot use a temporary directory below one that only root may enter.
func TestDirectoryBelowAClosedOne(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root runs Postgres as another account")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	t.Setenv("TMPDIR", closed)
	server := PrivatePostgres(t)
	require.NotContains(t, server.directory, closed)
	require.NoError(t, server.CreateDatabase(t.Context(), "reached"))
}

func TestDatabaseNames(t *testing.T) {
	t.Parallel()
	long := databaseName("TestReserve/" + fmt.Sprint(make([]int, 100)))
	require.LessOrEqual(t, len(long), identifierBytesMax)
	require.NotEqual(t, databaseName("TestA"), databaseName("TestA"))
	require.Regexp(t, `^testreserve_two_words_[0-9]+$`, databaseName("TestReserve/two words"))
}
