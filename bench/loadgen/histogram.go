package loadgen

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A latency is counted in a bucket of its power of two, which is cut in 2^stepBits steps. A percentile is therefore
// exact to 3 %, whatever the number of calls, in 8 kB.
const (
	stepBits    = 5
	steps       = 1 << stepBits
	bucketCount = (64 - stepBits) * steps
)

// Histogram counts latencies. It is safe for concurrent use and takes no lock.
type Histogram struct {
	buckets [bucketCount]atomic.Uint32
	max     atomic.Int64
}

// Add counts one latency.
func (h *Histogram) Add(d time.Duration) {
	h.buckets[bucketOf(d)].Add(1)
	for old := h.max.Load(); int64(d) > old && !h.max.CompareAndSwap(old, int64(d)); old = h.max.Load() {
	}
}

// Snapshot is the state of a histogram at one moment.
type Snapshot struct {
	Count   int
	Max     time.Duration
	buckets [bucketCount]uint32
}

// Snapshot reads the histogram.
func (h *Histogram) Snapshot() *Snapshot {
	s := &Snapshot{Max: time.Duration(h.max.Load())}
	for i := range h.buckets {
		s.buckets[i] = h.buckets[i].Load()
		s.Count += int(s.buckets[i])
	}
	return s
}

// Drain reads the histogram and empties it.
func (h *Histogram) Drain() *Snapshot {
	s := &Snapshot{Max: time.Duration(h.max.Swap(0))}
	for i := range h.buckets {
		s.buckets[i] = h.buckets[i].Swap(0)
		s.Count += int(s.buckets[i])
	}
	return s
}

// Percentile is the upper end of the bucket of the call at that rank, and never more than the slowest call.
func (s *Snapshot) Percentile(percent int) time.Duration {
	rank, seen := (s.Count*percent+99)/100, 0
	for i, n := range s.buckets {
		if seen += int(n); n > 0 && seen >= rank {
			return min(bucketEnd(i), s.Max)
		}
	}
	return 0
}

// bucketOf gives the smallest microseconds a bucket each, larger ones a step of their power of two.
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < steps {
		return int(us)
	}
	shift := bits.Len64(us) - stepBits - 1
	return (shift+1)*steps + int(us>>shift) - steps
}

// bucketEnd is the largest duration of a bucket.
func bucketEnd(i int) time.Duration {
	if i < steps {
		return time.Duration(i+1)*time.Microsecond - 1
	}
	shift := i/steps - 1
	return time.Duration(uint64(i%steps+steps+1)<<shift)*time.Microsecond - 1
}
