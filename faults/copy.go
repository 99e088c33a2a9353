package faults

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	// portMin and portMax bound our ports. They end below 32768, where Linux begins to hand out ports for outgoing
	// connections: a stopped copy would lose such a port to any client.
	portMin, portMax = 20000, 32000
	// portTriesMax bounds the search for a free port.
	portTriesMax = 20
	// startLimit covers a start on a busy machine, and a migration of an empty database.
	startLimit = 40 * time.Second
	// stopLimit covers the drain of requests under way, 10 s, and the closing of the store.
	stopLimit = 20 * time.Second
	// logTailBytes is how much of a copy's log a failed test prints.
	logTailBytes = 6000
	// pollEvery is how often a wait looks again.
	pollEvery = 10 * time.Millisecond
)

// Copy is one copy of the server: a process of its own on a port that it keeps over restarts.
type Copy struct {
	// Name tells it from the others: "copy0", "copy1".
	Name string
	// Redis and Postgres are its own ways to its servers; nil where the plan has no proxies.
	Redis, Postgres *Proxy

	t       testing.TB
	program string
	address string
	env     []string
	log     string // path

	mu       sync.Mutex
	command  *exec.Cmd
	done     chan struct{} // closed when the process was reaped
	ending   bool          // it was told to end
	baseline Metrics       // of its first start
}

// URL is where it answers.
func (c *Copy) URL() string { return "http://" + c.address }

func freeAddress(t testing.TB) string {
	t.Helper()
	for range portTriesMax {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(portMin+rand.IntN(portMax-portMin)))
		if probe, err := net.Listen("tcp4", address); err == nil {
			_ = probe.Close()
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// newCopy prepares a copy; Start starts it.
func newCopy(t testing.TB, name, variant string, env []string) *Copy {
	c := &Copy{Name: name, t: t, program: binary(t, variant), address: freeAddress(t), log: filepath.Join(t.TempDir(), name+".log")}
	c.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TZ=UTC", "LISTEN_ADDR=" + c.address}, env...)
	t.Cleanup(func() {
		c.Kill()
		c.confess()
		if t.Failed() {
			t.Logf("the log of %s ends:\n%s", c.Name, c.Log())
		}
	})
	return c
}

// confessions are what a program writes when something is wrong with itself, rather than with its world.
var confessions = []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "panicked"}

// confess fails the test for what the log says, whatever clients noticed.
func (c *Copy) confess() {
	raw, err := os.ReadFile(c.log)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		c.t.Errorf("%s: %v", c.Name, err)
	}
	for _, words := range confessions {
		if at := strings.Index(string(raw), words); at >= 0 {
			c.t.Errorf("%s: its log says %s", c.Name, raw[at:min(at+logTailBytes, len(raw))])
		}
	}
}

// Start starts the process and waits until it is ready; without a database it fails.
func (c *Copy) Start() {
	c.t.Helper()
	c.Launch()
	deadline := time.Now().Add(startLimit)
	for !c.Ready() {
		if !c.Alive() || time.Now().After(deadline) {
			c.t.Fatalf("%s did not start; its log ends:\n%s", c.Name, c.Log())
		}
		time.Sleep(pollEvery)
	}
}

// Launch starts the process and waits for nothing.
func (c *Copy) Launch() {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	log, err := os.OpenFile(c.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		c.t.Fatalf("%s: %v", c.Name, err)
	}
	defer log.Close()
	command := exec.Command(c.program)
	command.Env, command.Stdout, command.Stderr, command.SysProcAttr = c.env, log, log, ownGroup()
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel takes the thread that forked for the parent, and Go ends threads that it has no use for.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(done)
		err := command.Start()
		started <- err
		if err == nil {
			_ = command.Wait()
		}
	}()
	if err := <-started; err != nil {
		c.t.Fatalf("%s: %v", c.Name, err)
	}
	c.command, c.done, c.ending = command, done, false
}

// Ready asks /readyz.
func (c *Copy) Ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, c.URL()+"/readyz", nil)
	response, err := probes.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// probes keep no connections, which would count as goroutines of the copy.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 5 * time.Second}

// Alive tells whether the process runs (or is frozen).
func (c *Copy) Alive() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.alive()
}

func (c *Copy) alive() bool {
	if c.done == nil {
		return false
	}
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// Died tells whether it ended without being told to.
func (c *Copy) Died() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done != nil && !c.alive() && !c.ending
}

// Stop ends the process as an operator does (SIGTERM) and waits.
func (c *Copy) Stop() {
	c.t.Helper()
	if err := c.end(syscall.SIGTERM); err != nil {
		c.t.Errorf("%s: %v", c.Name, err)
	}
}

// Kill ends the process at once (kill -9).
func (c *Copy) Kill() {
	c.t.Helper()
	if err := c.end(syscall.SIGKILL); err != nil {
		c.t.Errorf("%s: %v", c.Name, err)
	}
}

// Freeze stops it where it stands: its connections stay open and nothing answers.
func (c *Copy) Freeze() { c.signal(syscall.SIGSTOP) }

// Thaw lets it go on as if nothing had been.
func (c *Copy) Thaw() { c.signal(syscall.SIGCONT) }

func (c *Copy) signal(s syscall.Signal) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive() {
		c.t.Fatalf("%s: signal %s: not running", c.Name, s)
	}
	if err := c.command.Process.Signal(s); err != nil {
		c.t.Fatalf("%s: signal %s: %v", c.Name, s, err)
	}
}

func (c *Copy) end(s syscall.Signal) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.alive() {
		return nil
	}
	c.ending = true
	if err := c.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(stopLimit):
		_ = c.command.Process.Kill()
		<-c.done
		return fmt.Errorf("still ran %s after %s", stopLimit, s)
	}
}

// Log is the end of what it wrote.
func (c *Copy) Log() string {
	raw, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	if len(raw) > logTailBytes {
		raw = append([]byte("…"), raw[len(raw)-logTailBytes:]...)
	}
	return string(raw)
}

// Metrics are the numbers of /metrics by name and labels, as in `onhand_requests_open{transport="sse"}`.
type Metrics map[string]float64

// metricsAlways are those that a copy tells whatever its state, and of which a scenario says what they must be: one that
// went under another name would be 0, which often is just what is hoped for.
var metricsAlways = []string{
	"go_goroutines", "go_memstats_heap_inuse_bytes", "onhand_database_connections", "onhand_database_connections_in_use",
	"onhand_database_reads_total", "onhand_feed_connected", "onhand_redis_up", "onhand_watches", "onhand_writes_blocked",
	"onhand_writes_waiting",
}

// Metrics reads them now. Without one of metricsAlways they are an error.
func (c *Copy) Metrics() (Metrics, error) {
	response, err := probes.Get(c.URL() + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	m := Metrics{}
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		name, number, found := strings.Cut(lines.Text(), " ")
		if end := strings.LastIndex(lines.Text(), "} "); end > 0 { // a label may hold spaces
			name, number = lines.Text()[:end+1], lines.Text()[end+2:]
		}
		value, err := strconv.ParseFloat(number, 64)
		if found && err == nil && name[0] != '#' {
			m[name] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	for _, name := range metricsAlways {
		if _, told := m[name]; !told {
			return nil, fmt.Errorf("%s tells no %s", c.Name, name)
		}
	}
	return m, nil
}
