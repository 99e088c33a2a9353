//go:build !linux

package storetest

import (
	"bufio"
	"bytes"
	"fmt"
	"os/exec"
	"syscall"
)

// dieWithParent does nothing: only Linux signals a program when its parent dies. Here the guard does.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}

// processTable asks ps, which every system but Linux has.
func processTable() (map[int]processEntry, error) {
	output, err := exec.Command("ps", "-A", "-o", "pid=", "-o", "ppid=", "-o", "state=").Output()
	if err != nil {
		return nil, fmt.Errorf("process table: ps: %w", err)
	}
	table := make(map[int]processEntry)
	lines := bufio.NewScanner(bytes.NewReader(output))
	for lines.Scan() {
		var pid, parent int
		var state string
		if _, err := fmt.Sscan(lines.Text(), &pid, &parent, &state); err != nil {
			continue // a header or another kind of line
		}
		table[pid] = processEntry{parent: parent, state: state[0]}
	}
	return table, nil
}
