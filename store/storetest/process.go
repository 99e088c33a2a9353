package storetest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

const (
	// pollEvery is how often a wait looks again: short beside the 20 ms a Redis needs to start.
	pollEvery = 2 * time.Millisecond
	// signalLimit bounds the wait for the kernel to carry out a signal that cannot be refused.
	signalLimit = 5 * time.Second
)

// process is one running program, and the thread that keeps it alive.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the program has ended and was reaped
	err  error         // how it ended; read after done
}

// startProcess starts cmd in a process group of its own, so that an interrupt typed at the terminal reaches the tests and
// not their servers. On Linux the program gets deathSignal when this process dies.
func startProcess(cmd *exec.Cmd, deathSignal syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, deathSignal)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.hold(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// hold starts the program and stays on the thread that did until the program ends. The kernel's "parent" in
// "signal me when my parent dies" is the thread that forked, and Go ends threads it has no use for: without the lock a
// server would be killed at random.
func (p *process) hold(started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends s; a program that has ended already is no error.
func (p *process) signal(s syscall.Signal) error {
	err := p.cmd.Process.Signal(s)
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s (process %d): %w", s, p.pid(), err)
	}
	return nil
}

// wait waits for the end of the program, at most for limit.
func (p *process) wait(limit time.Duration) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return fmt.Errorf("process %d still runs after %s", p.pid(), limit)
	}
}

// halt stops the program and all its children in their tracks and returns their ids, the program's first. The parent
// is stopped before the children are counted: a stopped parent has no more of them. remember is told the ids before the
// children are stopped, so that no moment exists in which a stopped process is known to nobody.
func (p *process) halt(remember func(pids []int) error) ([]int, error) {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	if err := awaitStopped(p.pid()); err != nil {
		return nil, err
	}
	table, err := processTable()
	if err != nil {
		return nil, err
	}
	pids := []int{p.pid()}
	for pid, entry := range table {
		if entry.parent == p.pid() && !entry.gone() {
			pids = append(pids, pid)
		}
	}
	if err := remember(pids); err != nil {
		return nil, err
	}
	if err := signalAll(pids[1:], syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return pids, awaitStopped(pids...)
}

// signalAll sends s to every process; those that have ended are passed over.
func signalAll(pids []int, s syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal %s (process %d): %w", s, pid, err)
		}
	}
	return nil
}

// entry is what the process table says of one process.
type entry struct {
	parent int
	state  byte // the letter ps prints: T stopped, Z ended but not yet reaped
}

func (e entry) stopped() bool { return e.state == 'T' || e.state == 't' }

func (e entry) gone() bool { return e.state == 0 || e.state == 'Z' || e.state == 'X' }

func awaitStopped(pids ...int) error {
	return awaitTable("stopped", pids, func(e entry) bool { return e.stopped() || e.gone() })
}

func awaitGone(pids ...int) error {
	return awaitTable("gone", pids, entry.gone)
}

// awaitTable waits until the process table agrees about every one of pids; a missing process has a zero entry.
func awaitTable(what string, pids []int, agrees func(entry) bool) error {
	for deadline := time.Now().Add(signalLimit); ; time.Sleep(pollEvery) {
		table, err := processTable()
		if err != nil {
			return err
		}
		var waiting []int
		for _, pid := range pids {
			if !agrees(table[pid]) {
				waiting = append(waiting, pid)
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v not %s after %s", waiting, what, signalLimit)
		}
	}
}

// guardScript waits for the end of its input, which comes when the parent closes it or dies. Then it ends the processes
// listed in the file "pids" and removes the directory. The gentle signal comes first, because it lets Postgres give its
// shared memory back; CONT lets a frozen process hear it.
const guardScript = `
read -r _
pids=$(cat "$1/pids" 2>/dev/null)
for pid in $pids; do kill -"$2" "$pid"; kill -CONT "$pid"; done
tries=0
for pid in $pids; do
	while kill -0 "$pid" && [ "$tries" -lt 50 ]; do sleep 0.1; tries=$((tries + 1)); done
done
for pid in $pids; do kill -KILL "$pid"; done
rm -rf "$1"
`

// guard is a shell that outlives us by a moment, to tidy up when we could not.
type guard struct {
	cmd      *exec.Cmd
	lifeline interface{ Close() error }
}

func startGuard(directory string, gentle syscall.Signal) (*guard, error) {
	number := fmt.Sprint(int(gentle))
	cmd := exec.Command("/bin/sh", "-c", guardScript, "onhand-guard", directory, number)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	lifeline, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return &guard{cmd: cmd, lifeline: lifeline}, nil
}

// dismiss lets the guard run its script. Whoever stopped the server and removed its files has left it nothing to do.
func (g *guard) dismiss() error {
	err := g.lifeline.Close()
	waitErr := g.cmd.Wait()
	// The status is that of rm. Only a guard that someone killed is worth a word.
	if waitErr != nil && !strings.HasPrefix(waitErr.Error(), "exit status") {
		err = errors.Join(err, waitErr)
	}
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}
