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
	// signalLimit bounds the wait for the effect of a signal that cannot be ignored.
	signalLimit = 5 * time.Second
)

// process is one running program, and the thread that started it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed once the program has ended and was reaped
	err  error         // how it ended; read after done
}

// startProcess starts cmd in a process group of its own: an interrupt typed at the terminal reaches the tests and not
// their servers. On Linux the program gets deathSignal when this process dies. enter, unless nil, moves the thread that starts
// it into another network namespace.
func startProcess(cmd *exec.Cmd, deathSignal syscall.Signal, enter func() error) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, deathSignal)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(started, enter)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// run starts the program and stays on the thread that started it until the program ends. For the kernel the parent that
// dies is the thread that forked, and Go ends threads that it does not need: without the lock a server would be killed at
// random.
func (p *process) run(started chan<- error, enter func() error) {
	runtime.LockOSThread()
	var err error
	if enter == nil {
		defer runtime.UnlockOSThread()
	} else {
		err = enter() // no other goroutine may get this thread
	}
	if err == nil {
		err = p.cmd.Start()
	}
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

// suspend stops the program and all its children (SIGSTOP) and returns their ids, the program's first. The parent is
// stopped before the children are counted: a stopped parent starts no more. record gets the ids before the children are
// stopped, so that the guard knows every stopped process at any moment.
func (p *process) suspend(record func(pids []int) error) ([]int, error) {
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
	for pid, processEntry := range table {
		if processEntry.parent == p.pid() && !processEntry.gone() {
			pids = append(pids, pid)
		}
	}
	if err := record(pids); err != nil {
		return nil, err
	}
	if err := signalAll(pids[1:], syscall.SIGSTOP); err != nil {
		return nil, err
	}
	return pids, awaitStopped(pids...)
}

// signalAll sends s to every process; one that has ended is no error.
func signalAll(pids []int, s syscall.Signal) error {
	for _, pid := range pids {
		if err := syscall.Kill(pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal %s (process %d): %w", s, pid, err)
		}
	}
	return nil
}

// processEntry is the line of the process table for one process.
type processEntry struct {
	parent int
	state  byte // the letter ps prints: T stopped, Z ended but not yet reaped
}

func (e processEntry) stopped() bool { return e.state == 'T' || e.state == 't' }

func (e processEntry) gone() bool { return e.state == 0 || e.state == 'Z' || e.state == 'X' }

func awaitStopped(pids ...int) error {
	return awaitTable("stopped", pids, func(e processEntry) bool { return e.stopped() || e.gone() })
}

func awaitGone(pids ...int) error {
	return awaitTable("gone", pids, processEntry.gone)
}

// awaitTable waits until the process table is as wanted for each of pids; a missing process has a zero entry.
func awaitTable(what string, pids []int, wanted func(processEntry) bool) error {
	for deadline := time.Now().Add(signalLimit); ; time.Sleep(pollEvery) {
		table, err := processTable()
		if err != nil {
			return err
		}
		var waiting []int
		for _, pid := range pids {
			if !wanted(table[pid]) {
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
// listed in the file "pids" and removes the directory. The gentle signal comes first, because Postgres then frees its
// shared memory; CONT lets a frozen process receive it.
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

// guard is a shell that outlives this process by a moment, and removes what it left.
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

// dismiss lets the guard run its script. After Close nothing is left for it to do.
func (g *guard) dismiss() error {
	err := g.lifeline.Close()
	waitErr := g.cmd.Wait()
	// The status is that of rm. Only a guard that was killed is an error.
	if waitErr != nil && !strings.HasPrefix(waitErr.Error(), "exit status") {
		err = errors.Join(err, waitErr)
	}
	if err != nil {
		return fmt.Errorf("guard: %w", err)
	}
	return nil
}
