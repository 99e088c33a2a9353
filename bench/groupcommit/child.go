package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

// readyWord begins the line that a child prints when it is ready.
const readyWord = "ready"

// child is this program in a process of its own, running one of its hidden commands. It ends when its input ends.
type child struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	stdout  *bufio.Reader
	// address is what it said with the ready word.
	address string
}

// startChild starts one and waits until it is ready.
func startChild(ctx context.Context, arguments ...string) (*child, error) {
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
	c := &child{command: command, stdin: stdin, stdout: bufio.NewReader(stdout)}
	line, err := c.stdout.ReadString('\n')
	word, address, _ := strings.Cut(strings.TrimSpace(line), " ")
	if err != nil || word != readyWord {
		return nil, errors.Join(fmt.Errorf("%s did not start: %q", arguments[0], line), err, command.Process.Kill(), command.Wait())
	}
	c.address = address
	return c, nil
}

// end ends its input and waits.
func (c *child) end() error { return errors.Join(c.stdin.Close(), c.command.Wait()) }
