package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"onhand/faults/network"
	"onhand/faults/wait"
)

const (
	// StartLimit covers a start on a busy machine, and the migration of an empty database.
	StartLimit = 40 * time.Second
	// stopLimit covers the requests in flight, 10 s, and the closing of the store.
	stopLimit = 20 * time.Second
	// probeLimit bounds a request to /readyz or /metrics.
	probeLimit = 5 * time.Second
	// hostPort and hostAdminPort are where an instance on a host of its own listens.
	hostPort, hostAdminPort = 8080, 8081
	// logTailBytes is how much of an instance's log a failed test prints.
	logTailBytes = 6000
)

// Instance is one server process, on a port that it keeps over restarts.
type Instance struct {
	// Name distinguishes it from the others: "instance0", "instance1".
	Name string
	// Redis and Postgres are the proxies between it and its servers; nil without proxies.
	Redis, Postgres *Proxy
	// Program is the path of the server.
	Program string
	// Baseline are its metrics at rest, after its first start.
	Baseline Metrics

	t       testing.TB
	address string
	release []func() // give up the ports that are held for its first start
	metrics string   // the URL of its metrics
	env     []string
	logPath string
	host    *network.Host // nil: that of the tests

	mu      sync.Mutex
	command *exec.Cmd
	done    chan struct{} // closed when the process was reaped
	ending  bool          // the scenario ended it
}

// NewInstance prepares an instance of the program with settings ("NAME=value"); Start starts it. It gets our
// NEAR_CACHE_BYTES.
func NewInstance(t testing.TB, name, program string, settings []string) *Instance {
	address, releaseAddress := heldAddress(t)
	admin, releaseAdmin := heldAddress(t)
	i := newInstance(t, name, program, nil, address, admin, settings)
	i.release = []func(){releaseAddress, releaseAdmin}
	return i
}

// NewInstanceOn is NewInstance on a host of its own. The settings must have it check tokens: it listens on a public address.
func NewInstanceOn(t testing.TB, name, program string, host *network.Host, settings []string) *Instance {
	address := func(port uint16) string { return netip.AddrPortFrom(host.Address, port).String() }
	return newInstance(t, name, program, host, address(hostPort), address(hostAdminPort), settings)
}

func newInstance(t testing.TB, name, program string, host *network.Host, address, admin string, settings []string) *Instance {
	i := &Instance{Name: name, Program: program, t: t, address: address, host: host, logPath: filepath.Join(t.TempDir(), name+".log")}
	i.metrics = "http://" + i.address + "/metrics"
	if slices.ContainsFunc(settings, func(setting string) bool { return strings.HasPrefix(setting, "AUTH_SECRET=") }) {
		i.metrics = "http://" + admin + "/metrics"
	}
	i.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TZ=UTC", "LISTEN_ADDR=" + i.address, "ADMIN_ADDR=" + admin}, settings...)
	if bytes, given := os.LookupEnv("NEAR_CACHE_BYTES"); given {
		i.env = append(i.env, "NEAR_CACHE_BYTES="+bytes)
	}
	t.Cleanup(func() {
		i.releasePorts()
		i.Kill()
		i.checkLog()
		if t.Failed() {
			t.Logf("the log of %s ends:\n%s", i.Name, i.logTail())
		}
	})
	return i
}

// URL is where it serves.
func (i *Instance) URL() string { return "http://" + i.address }

// Address is URL as host:port.
func (i *Instance) Address() string { return i.address }

// releasePorts gives up the ports, so that the process can listen. Until then no other process had them.
func (i *Instance) releasePorts() {
	for _, release := range i.release {
		release()
	}
}

// Start starts the process and waits until it is ready, and listens to operators. Without a database it fails.
func (i *Instance) Start() {
	i.t.Helper()
	i.launch()
	ready := wait.Within(StartLimit, func() bool { return !i.Alive() || i.Ready() && i.listensToOperators() })
	if !ready || !i.Alive() {
		i.t.Fatalf("%s did not start; its log ends:\n%s", i.Name, i.logTail())
	}
}

// launch starts the process and waits for nothing.
func (i *Instance) launch() {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	log, err := os.OpenFile(i.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		i.t.Fatalf("%s: %v", i.Name, err)
	}
	defer log.Close()
	i.releasePorts()
	command := exec.Command(i.Program)
	command.Env, command.Stdout, command.Stderr, command.SysProcAttr = i.env, log, log, ownGroup()
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		// The kernel takes the thread that forked for the parent, and Go ends threads that it does not need.
		runtime.LockOSThread()
		defer close(done)
		var err error
		if i.host == nil {
			defer runtime.UnlockOSThread()
		} else {
			err = i.host.Enter() // the thread ends with this goroutine
		}
		if err == nil {
			err = command.Start()
		}
		started <- err
		if err == nil {
			_ = command.Wait() // how it ended is in its log
		}
	}()
	if err := <-started; err != nil {
		i.t.Fatalf("%s: %v", i.Name, err)
	}
	i.command, i.done, i.ending = command, done, false
}

// probes keep no connections: they would count as goroutines of the instance.
var probes = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: probeLimit}

// listensToOperators reports whether it listens where its metrics are. Another program may have answered /readyz.
func (i *Instance) listensToOperators() bool {
	connection, err := net.DialTimeout("tcp", strings.TrimSuffix(strings.TrimPrefix(i.metrics, "http://"), "/metrics"), time.Second)
	if err != nil {
		return false
	}
	_ = connection.Close() // it was only a probe
	return true
}

// Ready reports whether /readyz says that it is ready, within a second.
func (i *Instance) Ready() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, _ := http.NewRequestWithContext(ctx, http.MethodGet, i.URL()+"/readyz", nil) // a constant URL
	response, err := probes.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close() // only the status counts
	return response.StatusCode == http.StatusOK
}

// Alive reports whether the process runs (or is frozen).
func (i *Instance) Alive() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.alive()
}

func (i *Instance) alive() bool {
	if i.done == nil {
		return false
	}
	select {
	case <-i.done:
		return false
	default:
		return true
	}
}

// Died reports whether it ended although the scenario did not end it.
func (i *Instance) Died() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.done != nil && !i.alive() && !i.ending
}

// Stop ends the process as an operator does (SIGTERM) and waits.
func (i *Instance) Stop() {
	i.t.Helper()
	if err := i.end(syscall.SIGTERM); err != nil {
		i.t.Errorf("%s: %v", i.Name, err)
	}
}

// Kill ends the process at once (SIGKILL).
func (i *Instance) Kill() {
	i.t.Helper()
	if err := i.end(syscall.SIGKILL); err != nil {
		i.t.Errorf("%s: %v", i.Name, err)
	}
}

// Freeze suspends the process (SIGSTOP): its connections stay open and nothing answers.
func (i *Instance) Freeze() { i.signal(syscall.SIGSTOP) }

// Thaw resumes a frozen process.
func (i *Instance) Thaw() { i.signal(syscall.SIGCONT) }

func (i *Instance) signal(s syscall.Signal) {
	i.t.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.alive() {
		i.t.Fatalf("%s: signal %s: not running", i.Name, s)
	}
	if err := i.command.Process.Signal(s); err != nil {
		i.t.Fatalf("%s: signal %s: %v", i.Name, s, err)
	}
}

func (i *Instance) end(s syscall.Signal) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.alive() {
		return nil
	}
	i.ending = true
	if err := i.command.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-i.done:
		return nil
	case <-time.After(stopLimit):
		_ = i.command.Process.Kill() // nothing else is left to do
		<-i.done
		return fmt.Errorf("still ran %s after %s", stopLimit, s)
	}
}

// Date is the wall clock of the instance, as its answers show it.
func (i *Instance) Date() (time.Time, error) {
	response, err := probes.Get(i.URL() + "/healthz")
	if err != nil {
		return time.Time{}, err
	}
	_ = response.Body.Close() // only the header counts
	return http.ParseTime(response.Header.Get("Date"))
}

// complaints are what a program writes when something is wrong with itself, rather than with its servers.
var complaints = []string{"WARNING: DATA RACE", "panic: ", "fatal error: ", "panicked"}

// checkLog fails the test for a complaint in the log.
func (i *Instance) checkLog() {
	raw, err := os.ReadFile(i.logPath)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		i.t.Errorf("%s: %v", i.Name, err)
	}
	for _, words := range complaints {
		if at := strings.Index(string(raw), words); at >= 0 {
			i.t.Errorf("%s: its log says %s", i.Name, raw[at:min(at+logTailBytes, len(raw))])
		}
	}
}

// logTail is the end of what it wrote.
func (i *Instance) logTail() string {
	raw, err := os.ReadFile(i.logPath)
	if err != nil {
		return err.Error()
	}
	if len(raw) > logTailBytes {
		raw = append([]byte("…"), raw[len(raw)-logTailBytes:]...)
	}
	return string(raw)
}
