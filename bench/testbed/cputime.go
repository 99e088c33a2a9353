package testbed

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tick is the unit of times in /proc on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// thisProcess names the benchmark's own process, load generator included, and its children that have ended.
const thisProcess = "this process"

// CPU is the CPU time that each program has spent so far.
type CPU map[string]time.Duration

// Children is what the children of this process spent: the servers, without the load generator.
func (c CPU) Children() (sum time.Duration) {
	for name, spent := range c {
		if name != thisProcess {
			sum += spent
		}
	}
	return sum
}

// processTimes is one line of the process table.
type processTimes struct {
	parent int
	name   string
	spent  time.Duration
}

// CPUTimes reads how much CPU time this process and its descendants have spent, by program. It is empty where there is
// no /proc.
func CPUTimes() CPU {
	all := processes()
	spent := CPU{}
	for pid, p := range all {
		if descends(all, pid, os.Getpid()) {
			spent[p.name] += p.precise(pid)
		}
	}
	return spent
}

// TreeCPU is the CPU time that a process and its descendants have spent so far; 0 where there is no /proc.
func TreeCPU(pid int) (sum time.Duration) {
	all := processes()
	for one, p := range all {
		if descends(all, one, pid) {
			sum += p.precise(one)
		}
	}
	return sum
}

// precise is the CPU time without the rounding of the process table. That of this process is only there: it has children
// that have ended.
func (p processTimes) precise(pid int) time.Duration {
	if p.name == thisProcess {
		return p.spent
	}
	return cmp.Or(ProcessCPU(pid), p.spent)
}

// processes is the process table.
func processes() map[int]processTimes {
	all := map[int]processTimes{}
	paths, _ := filepath.Glob("/proc/[0-9]*/stat") // the only error is a bad pattern
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		if pid, p, ok := parseProcess(raw); ok {
			all[pid] = p
		}
	}
	return all
}

// descends reports whether a process is another one or descends from it.
func descends(all map[int]processTimes, pid, from int) bool {
	for ; pid > 1; pid = all[pid].parent {
		if pid == from {
			return true
		}
	}
	return false
}

// parseProcess reads "pid (name) state parent …" (proc(5)). The name may have brackets; the last one ends it.
func parseProcess(stat []byte) (pid int, p processTimes, ok bool) {
	open, end := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return 0, processTimes{}, false
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) < 15 {
		return 0, processTimes{}, false
	}
	number := func(field string) int { n, _ := strconv.Atoi(field); return n }
	pid = number(strings.TrimSpace(string(stat[:open])))
	p = processTimes{parent: number(fields[1]), name: string(stat[open+1 : end])}
	ticks := number(fields[11]) + number(fields[12])
	if pid == os.Getpid() {
		p.name = thisProcess
		ticks += number(fields[13]) + number(fields[14]) // of children that have ended
	}
	p.spent = time.Duration(ticks) * tick
	return pid, p, true
}

// PerCall reports how much CPU time of each program one call took, in µs.
func PerCall(before, after CPU, calls int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if spent := after[name] - before[name]; spent > 0 {
			parts = append(parts, fmt.Sprintf("%s %.1f", name, float64(spent.Microseconds())/float64(max(calls, 1))))
		}
	}
	return strings.Join(parts, ", ")
}

// ProcessCPU is the CPU time that one process has spent so far; 0 where the kernel does not tell.
func ProcessCPU(pid int) time.Duration {
	var spent unix.Timespec
	if err := unix.ClockGettime(clockOf(pid), &spent); err != nil {
		return 0
	}
	return time.Duration(spent.Nano())
}

// clockOf is the clock of a process's CPU time, as clock_getcpuclockid(3) makes it.
func clockOf(pid int) int32 { return int32(^pid<<3 | 2) }
