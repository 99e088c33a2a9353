package storetest

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// dieWithParent has the kernel send s to the program when the thread that started it ends.
func dieWithParent(attributes *syscall.SysProcAttr, s syscall.Signal) {
	attributes.Pdeathsig = s
}

// processTable reads /proc, so that nothing needs ps, which small containers lack.
func processTable() (map[int]processEntry, error) {
	directory, err := os.Open("/proc")
	if err != nil {
		return nil, fmt.Errorf("process table: %w", err)
	}
	defer directory.Close()
	names, err := directory.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("process table: %w", err)
	}
	table := make(map[int]processEntry, len(names))
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + name + "/stat")
		if err != nil {
			continue // ended since the listing
		}
		if e, ok := parseStat(stat); ok {
			table[pid] = e
		}
	}
	return table, nil
}

// parseStat reads "pid (name) state parent …" (proc(5)). The name may hold spaces and brackets; the last bracket ends it.
func parseStat(stat []byte) (processEntry, bool) {
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return processEntry{}, false
	}
	fields := bytes.Fields(stat[end+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return processEntry{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return processEntry{}, false
	}
	return processEntry{parent: parent, state: fields[0][0]}, true
}
