package testbed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

const (
	// readyMax bounds the start of a process, migration included; readyEvery is how often it is asked.
	readyMax, readyEvery = 60 * time.Second, 20 * time.Millisecond
	// stopMax bounds its end: the server finishes the requests in flight within 10 s.
	stopMax = 20 * time.Second
	// logBytesMax is how much of its log is kept, for the error when it ends.
	logBytesMax = 16 << 10
)

// Program is one process of the server.
type Program struct {
	// Address is host:port.
	Address string
	command *exec.Cmd
	log     *logTail
	ended   chan struct{} // closed when the process has ended
	home    string
}

// StartProgram starts the program on a free port, with more environment variables (NAME=value), and waits until it is
// ready.
func StartProgram(ctx context.Context, program, databaseURL, redisURL string, more ...string) (*Program, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "onhand-bench-")
	if err != nil {
		return nil, err
	}
	i := &Program{Address: address, command: exec.Command(program), log: &logTail{}, ended: make(chan struct{}), home: home}
	i.command.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TZ=UTC", "LOG_LEVEL=warn",
		"DATABASE_URL=" + databaseURL, "REDIS_URL=" + redisURL, "LISTEN_ADDR=" + address,
	}
	i.command.Env = append(i.command.Env, more...)
	i.command.Stdout, i.command.Stderr = i.log, i.log
	if err := i.command.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(home))
	}
	go func() { _ = i.command.Wait(); close(i.ended) }() // how it ended is in its log
	for deadline := time.Now().Add(readyMax); ; time.Sleep(readyEvery) {
		switch {
		case i.ready(ctx):
			return i, nil
		case i.Failure() != nil:
			return nil, errors.Join(i.Failure(), i.Stop())
		case ctx.Err() != nil || time.Now().After(deadline):
			return nil, errors.Join(fmt.Errorf("%s is not ready: %s", program, i.log), ctx.Err(), i.Stop())
		}
	}
}

// Migrate makes the tables of a database with the program.
//
// Errors: with what the program wrote.
func Migrate(ctx context.Context, program, databaseURL, redisURL string) error {
	migrate := exec.CommandContext(ctx, program, "migrate")
	migrate.Env = append(os.Environ(), "DATABASE_URL="+databaseURL, "REDIS_URL="+redisURL, "LOG_LEVEL=warn")
	if out, err := migrate.CombinedOutput(); err != nil {
		return fmt.Errorf("migrate: %w: %s", err, out)
	}
	return nil
}

// freeAddress is a loopback address with a port without a listener.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}

func (i *Program) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+i.Address+"/readyz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close() // only the status counts
	return response.StatusCode == http.StatusOK
}

// PID is the id of its process.
func (i *Program) PID() int { return i.command.Process.Pid }

// Failure is why the process ended before it was stopped; nil while it runs.
func (i *Program) Failure() error {
	select {
	case <-i.ended:
		return fmt.Errorf("%s ended; its log ends: %s", i.command.Path, i.log)
	default:
		return nil
	}
}

// Stop ends the process as an operator does, and kills it when it does not end in time.
func (i *Program) Stop() error {
	if i.Failure() == nil {
		_ = i.command.Process.Signal(syscall.SIGTERM) // it may have ended just now
		select {
		case <-i.ended:
		case <-time.After(stopMax):
			_ = i.command.Process.Kill()
			<-i.ended
		}
	}
	return os.RemoveAll(i.home)
}

// logTail keeps the end of what a process wrote.
type logTail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *logTail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	if over := len(l.text) - logBytesMax; over > 0 {
		l.text = bytes.Clone(l.text[over:])
	}
	return len(p), nil
}

// String is what was kept.
func (l *logTail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
