package main

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// cpuTimes is what this process and the servers under it have spent so far, by program. Throughput depends on what else
// a machine does; this does not. Empty where there is no /proc.
func cpuTimes() map[string]time.Duration {
	type process struct {
		parent int
		name   string
		spent  time.Duration
	}
	all := map[int]process{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the only error is a bad pattern
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// "pid (name) state parent …": the name may hold anything, so it is cut out by its brackets.
		open, end := bytes.IndexByte(raw, '('), bytes.LastIndexByte(raw, ')')
		rest := strings.Fields(string(raw[end+1:]))
		if len(rest) < 15 {
			continue
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(string(raw[:open])))
		parent, _ := strconv.Atoi(rest[1])
		user, _ := strconv.Atoi(rest[11])
		system, _ := strconv.Atoi(rest[12])
		if pid == os.Getpid() { // and its copies that have ended
			endedUser, _ := strconv.Atoi(rest[13])
			endedSystem, _ := strconv.Atoi(rest[14])
			user, system = user+endedUser, system+endedSystem
		}
		all[pid] = process{parent, string(raw[open+1 : end]), time.Duration(user+system) * tick}
	}
	ours := func(pid int) bool {
		for ; pid > 1; pid = all[pid].parent {
			if pid == os.Getpid() {
				return true
			}
		}
		return false
	}
	spent := map[string]time.Duration{}
	for pid, p := range all {
		if ours(pid) {
			spent[p.name] += p.spent
		}
	}
	return spent
}

// perCall says how much of every program one call took.
func perCall(before, after map[string]time.Duration, calls int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if spent := after[name] - before[name]; spent > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f", name, float64(spent.Microseconds())/float64(max(calls, 1))))
		}
	}
	return strings.Join(parts, ", ")
}
