package nearcache

import "time"

// instant is a moment on two clocks, in nanoseconds. The monotonic clock does not jump.
// The wall clock also advances while the machine is suspended.
type instant struct{ monotonic, wall int64 }

// machineClock reads the clocks of the machine.
func machineClock() func() instant {
	start := time.Now()
	return func() instant {
		now := time.Now()
		return instant{int64(now.Sub(start)), now.UnixNano()}
	}
}

// within reports whether less than d has passed since, on both clocks. A wall clock
// that was set counts as time that has passed.
func (i instant) within(d time.Duration, since instant) bool {
	wall := i.wall - since.wall
	return i.monotonic-since.monotonic < int64(d) && wall < int64(d) && -wall < int64(d)
}
