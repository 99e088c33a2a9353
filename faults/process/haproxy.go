package process

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"onhand/faults/network"
	"onhand/faults/wait"
)

// NewBalancer starts haproxy with the configuration of deploy/haproxy in front of two to four instances, which may not run
// yet, and returns its URL. It ends with the test. Without haproxy the test is skipped.
func NewBalancer(t testing.TB, instances ...*Instance) string {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		if program = "/usr/sbin/haproxy"; !exists(program) {
			t.Skip("skipped: no haproxy (Debian: apt-get install haproxy)")
		}
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	command := exec.Command(program, "-db", "-f", filepath.Join(root, "deploy", "haproxy", "haproxy.cfg"))
	command.Env = []string{"ONHAND_BIND=" + address}
	for n, i := range instances {
		command.Env = append(command.Env, fmt.Sprintf("ONHAND_%d=%s", n+1, i.Address()))
	}
	runProgram(t, "haproxy", nil, command)
	wait.Until(t, StartLimit, "haproxy listens", func() bool {
		response, err := probes.Get("http://" + address + "/healthz")
		if err != nil {
			return false
		}
		_ = response.Body.Close() // any answer will do: there may be no instance yet
		return true
	})
	return "http://" + address
}

// runProgram starts a program that ends with the test, and prints what it said when the test fails. host is nil for that of
// the tests.
func runProgram(t testing.TB, name string, host *network.Host, command *exec.Cmd) {
	t.Helper()
	var said lockedBuffer
	command.Stdout, command.Stderr, command.SysProcAttr = &said, &said, ownGroup()
	started, done := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the kernel takes the thread that forked for the parent
		defer close(done)
		var err error
		if host == nil {
			defer runtime.UnlockOSThread()
		} else {
			err = host.Enter() // the thread ends with this goroutine
		}
		if err == nil {
			err = command.Start()
		}
		started <- err
		if err == nil {
			_ = command.Wait() // what it says of its end is printed below
		}
	}()
	if err := <-started; err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		<-done
		if t.Failed() {
			t.Logf("%s said:\n%s", name, said.String())
		}
	})
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// lockedBuffer is a buffer that a process writes while a test reads.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is what was written so far.
func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
