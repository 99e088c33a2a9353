package testbed

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
)

// ReadyWord begins the line that a child prints when it is ready.
const ReadyWord = "ready"

// Child is this program in a process of its own, running one of its hidden commands. It ends when its input ends.
type Child struct {
	command *exec.Cmd
	Stdin   io.WriteCloser
	Stdout  *bufio.Reader
	// Address is what it said with the ready word.
	Address string
}

// StartChild starts one and waits until it is ready.
func StartChild(ctx context.Context, arguments ...string) (*Child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self, arguments...)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	c := &Child{command: command, Stdin: stdin, Stdout: bufio.NewReader(stdout)}
	line, err := c.Stdout.ReadString('\n')
	word, address, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || word != ReadyWord {
		return nil, errors.Join(fmt.Errorf("%s did not start: %q", arguments[0], line), err, command.Process.Kill(), command.Wait())
	}
	c.Address = address
	return c, nil
}

// PID is the id of its process.
func (c *Child) PID() int { return c.command.Process.Pid }

// End ends its input and waits.
func (c *Child) End() error { return errors.Join(c.Stdin.Close(), c.command.Wait()) }

// Serve serves a child's requests on a free port, says its address with the ready word, and returns when its input or ctx
// ends.
func Serve(ctx context.Context, server *http.Server) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }() // ended by Close
	fmt.Println(ReadyWord, listener.Addr())
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); close(ended) }() // the process ends with it
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	case <-ended:
	}
	return server.Close()
}
