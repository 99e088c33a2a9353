package storetest

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// portMin and portMax bound the ports we take (portMax itself excluded). They end below 32768, from where Linux takes
	// ports for outgoing connections: a stopped server would lose such a port to any client.
	portMin = 20000
	portMax = 32000
	// portAttemptsMax bounds the search for a free port. With every second port taken it fails once in a million.
	portAttemptsMax = 20
	// restartAttemptsMax and restartEvery bound the wait for our old port while another process tries it.
	restartAttemptsMax = 50
	restartEvery       = 100 * time.Millisecond
	// startLimit covers a first start on a busy two-core machine and a recovery after Kill.
	startLimit = 60 * time.Second
	// stopLimit covers the checkpoint Postgres writes when it stops.
	stopLimit = 30 * time.Second
	// logTailBytes is how much of a server's log an error has.
	logTailBytes = 2048
)

// readyLine is what both servers write, in upper or lower case, when they accept connections. We look for it in the
// server's own log, because another process may answer on the port.
const readyLine = "ready to accept connections"

// standbyReadyLine is what a Postgres that follows another one writes instead.
const standbyReadyLine = "ready to accept read-only connections"

// portTakenLine is what both servers write when another process has the port.
const portTakenLine = "Address already in use"

var errPortTaken = errors.New("port is taken")

// Option changes how a server is started.
type Option func(*options)

type options struct {
	settings    []setting
	environment []string
	refused     string // of Redis: rules that refuse commands to the administrator
	host        ServerHost
	clustered   bool                // of Redis: a node of a cluster
	draw        func() (int, error) // instead of freePort
}

// ServerHost is where a server runs. The zero ServerHost is that of this process.
type ServerHost struct {
	// Address is the server's, beside 127.0.0.1 of its host.
	Address string
	// Enter moves the thread that calls it into the network namespace of the host. The thread ends with the server.
	Enter func() error
}

// WithHost runs a server on a host of its own, which this process must reach at its address.
func WithHost(host ServerHost) Option {
	return func(o *options) { o.host = host }
}

type setting struct{ name, value string }

// WithSetting sets one setting of the server, over our own: a line of postgresql.conf for Postgres, a line of redis.conf
// for Redis.
func WithSetting(name, value string) Option {
	return func(o *options) { o.settings = append(o.settings, setting{name, value}) }
}

// WithEnvironment gives a Postgres a variable ("NAME=value") in its environment, which is minimal otherwise.
func WithEnvironment(variable string) Option {
	return func(o *options) { o.environment = append(o.environment, variable) }
}

func collect(list []Option) options {
	var o options
	for _, option := range list {
		option(&o)
	}
	return o
}

// server is the common part of both kinds: a directory, a port, and at most one process at a time. It is safe for
// concurrent use.
type server struct {
	kind      string              // "postgres" or "redis"
	directory string              // everything the server writes
	account   *syscall.Credential // that it runs as; nil is our own
	command   func() *exec.Cmd    // the server program; reads port
	port      int
	clustered bool                // it has a bus, where the nodes of its cluster meet
	bus       int                 // the port of it
	draw      func() (int, error) // a port that nobody has; nil is freePort
	host      ServerHost
	ready     string // a line of its log that says that it accepts connections, beside those of Postgres and Redis

	gentleSignal syscall.Signal // ends it and keeps the data
	deathSignal  syscall.Signal // ends it at once and leaves only files

	mu        sync.Mutex
	guard     *guard
	process   *process // nil when stopped
	suspended []int    // the processes that are frozen
	killed    bool     // Kill ended it, and it was not started since
	closed    bool
}

// prepare makes the directory and starts its guard.
func (s *server) prepare() error {
	directory, err := makeDirectory("onhand-"+s.kind+"-", s.account)
	if err != nil {
		return fmt.Errorf("%s: %w", s.kind, err)
	}
	s.directory = directory
	s.guard, err = startGuard(directory, s.deathSignal)
	if err != nil {
		return errors.Join(fmt.Errorf("%s: %w", s.kind, err), os.RemoveAll(directory))
	}
	return nil
}

// open finds a port, for a node of a cluster two, and starts the server for the first time.
func (s *server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for range portAttemptsMax {
		if err = s.drawPorts(); err != nil {
			return fmt.Errorf("%s: %w", s.kind, err)
		}
		if err = s.start(); !errors.Is(err, errPortTaken) {
			return err
		}
	}
	return err
}

func (s *server) drawPorts() (err error) {
	draw := s.draw
	if draw == nil {
		draw = freePort
	}
	if s.port, err = draw(); err == nil && s.clustered {
		s.bus, err = draw()
	}
	return err
}

// Start starts the server again after Stop or Kill, on its port and with its data, and waits until it takes connections.
// A running server stays as it is.
func (s *server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%s: start: closed", s.kind)
	}
	if s.running() {
		return nil
	}
	var err error
	for range restartAttemptsMax {
		if err = s.start(); !errors.Is(err, errPortTaken) {
			return err
		}
		time.Sleep(restartEvery)
	}
	return err
}

// Stop ends the server in order and keeps its data; open connections are closed.
func (s *server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(s.gentleSignal)
}

// Abort ends the server at once: for Postgres an immediate shutdown, which ends the sessions and writes nothing, so that
// the next start has to recover. Redis is killed.
func (s *server) Abort() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end(s.deathSignal)
}

// Kill ends the server and all its processes as a power cut does: nothing is flushed, no session is closed in order.
func (s *server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return nil
	}
	pids, err := s.process.suspend(s.recordPids)
	if err != nil {
		return fmt.Errorf("%s: kill: %w", s.kind, err)
	}
	if err := signalAll(pids, syscall.SIGKILL); err != nil {
		return fmt.Errorf("%s: kill: %w", s.kind, err)
	}
	// The children must be gone too: Postgres does not start again on data that a process still uses.
	if err := errors.Join(s.process.wait(stopLimit), awaitGone(pids...)); err != nil {
		return fmt.Errorf("%s: kill: %w", s.kind, err)
	}
	s.killed = true
	return s.clearProcess()
}

// Freeze suspends every process of the server: connections stay open, the kernel still accepts new ones, and nothing
// answers. So a stalled machine looks from outside.
func (s *server) Freeze() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return fmt.Errorf("%s: freeze: not running", s.kind)
	}
	pids, err := s.process.suspend(s.recordPids)
	s.suspended = pids
	if err != nil {
		return fmt.Errorf("%s: freeze: %w", s.kind, err)
	}
	return nil
}

// Thaw resumes a frozen server.
func (s *server) Thaw() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.thaw()
}

// Close ends the server and removes its files. It may be called more than once.
func (s *server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	err := s.reclaim()
	err = errors.Join(err, s.end(s.deathSignal))
	if removeErr := os.RemoveAll(s.directory); removeErr != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", s.kind, removeErr))
	}
	return errors.Join(err, s.guard.dismiss())
}

// reclaim starts a killed Postgres once more: it left shared memory that only its own next start finds and frees.
func (s *server) reclaim() error {
	if s.kind != kindPostgres || !s.killed || s.running() {
		return nil
	}
	if err := s.start(); err != nil && !errors.Is(err, errPortTaken) {
		return fmt.Errorf("reclaim shared memory: %w", err)
	}
	return nil
}

// PID is the id of the server's process, the parent of its others; 0 when it does not run.
func (s *server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.running() {
		return 0
	}
	return s.process.pid()
}

func (s *server) running() bool { return s.process != nil && s.process.alive() }

// start launches the server on s.port and waits until it is ready. The log begins anew each time.
func (s *server) start() error {
	process, err := s.launch(s.command())
	if err != nil {
		return err
	}
	if err := s.awaitReady(process); err != nil {
		err = errors.Join(err, process.signal(syscall.SIGKILL), process.wait(stopLimit))
		return fmt.Errorf("%s on port %d: %w", s.kind, s.port, err)
	}
	s.process, s.suspended, s.killed = process, nil, false
	return nil
}

// launch runs cmd as the server's account, in its directory, with a minimal environment and its output in the log.
func (s *server) launch(cmd *exec.Cmd) (*process, error) {
	log, err := os.OpenFile(s.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.kind, err)
	}
	defer log.Close()
	if s.kind == kindPostgres {
		if err := keepLog(s.logPath()); err != nil {
			return nil, fmt.Errorf("keep the log: %w", err)
		}
	}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = s.directory
	// Only in the C locale are the messages in the log those that we look for.
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.directory, "LC_ALL=C", "TZ=UTC"}, cmd.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.account}
	process, err := startProcess(cmd, s.deathSignal, s.host.Enter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.kind, err)
	}
	if err := s.recordPids([]int{process.pid()}); err != nil {
		return nil, errors.Join(err, process.signal(syscall.SIGKILL))
	}
	return process, nil
}

func (s *server) awaitReady(p *process) error {
	for deadline := time.Now().Add(startLimit); ; time.Sleep(pollEvery) {
		ended := !p.alive()
		log := s.log()
		switch {
		case ended && strings.Contains(log, portTakenLine):
			return errPortTaken
		case ended:
			return fmt.Errorf("ended while starting (%v); its log ends:\n%s", p.err, tail(log))
		case strings.Contains(strings.ToLower(log), readyLine), strings.Contains(log, standbyReadyLine), s.ready != "" && strings.Contains(log, s.ready):
			return nil
		case time.Now().After(deadline):
			return fmt.Errorf("not ready after %s; its log ends:\n%s", startLimit, tail(log))
		}
	}
}

// end sends a signal to a running server and waits. One that does not end is killed, and that is an error.
func (s *server) end(signal syscall.Signal) error {
	if !s.running() {
		return nil
	}
	if err := errors.Join(s.thaw(), s.process.signal(signal)); err != nil {
		return fmt.Errorf("%s: stop: %w", s.kind, err)
	}
	if err := s.process.wait(stopLimit); err != nil {
		err = errors.Join(err, s.process.signal(syscall.SIGKILL), s.process.wait(stopLimit))
		return fmt.Errorf("%s: stop: %w; its log ends:\n%s", s.kind, err, tail(s.log()))
	}
	return s.clearProcess()
}

func (s *server) thaw() error {
	if len(s.suspended) == 0 {
		return nil
	}
	if err := signalAll(s.suspended, syscall.SIGCONT); err != nil {
		return fmt.Errorf("%s: thaw: %w", s.kind, err)
	}
	s.suspended = nil
	return s.recordPids([]int{s.process.pid()})
}

// recordPids lists the processes that the guard ends when this process dies.
func (s *server) recordPids(pids []int) error {
	var list strings.Builder
	for _, pid := range pids {
		list.WriteString(strconv.Itoa(pid) + "\n")
	}
	if err := os.WriteFile(filepath.Join(s.directory, "pids"), []byte(list.String()), 0o600); err != nil {
		return fmt.Errorf("%s: %w", s.kind, err)
	}
	return nil
}

func (s *server) clearProcess() error {
	s.process, s.suspended = nil, nil
	return s.recordPids(nil)
}

func (s *server) logPath() string { return filepath.Join(s.directory, "log") }

// log is what the server has written since it was last started. The wait for its first line reads it often; then it is
// short.
func (s *server) log() string {
	content, err := os.ReadFile(s.logPath())
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	return string(content)
}

func tail(log string) string {
	if len(log) > logTailBytes {
		log = "…" + log[len(log)-logTailBytes:]
	}
	return strings.TrimSpace(log)
}

// hostAddress is the address at which others reach the server.
func (s *server) hostAddress() string { return cmp.Or(s.host.Address, "127.0.0.1") }

// freePort draws a port at random, so that concurrent test processes seldom try the same, and asks the kernel.
func freePort() (int, error) {
	var err error
	for range portAttemptsMax {
		port := portMin + rand.IntN(portMax-portMin)
		var probe io.Closer
		probe, err = net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, probe.Close()
		}
	}
	return 0, fmt.Errorf("no free port between %d and %d: %w", portMin, portMax, err)
}
