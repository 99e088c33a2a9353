package main

import (
	"math/bits"
	"sync"
	"time"
)

// A latency is counted in a bucket of its binary magnitude, cut in 2^stepBits steps: percentiles are exact to about
// 3 %, whatever the number of calls, in a few kilobytes.
const (
	stepBits    = 5
	steps       = 1 << stepBits
	bucketCount = (64 - stepBits) * steps
)

// Latency sums up how long calls took, in milliseconds, retries included.
type Latency struct {
	Count int     `json:"count"`
	P50   float64 `json:"p50Ms"`
	P95   float64 `json:"p95Ms"`
	P99   float64 `json:"p99Ms"`
	Max   float64 `json:"maxMs"`
}

// histogram counts latencies. Safe for concurrent use.
type histogram struct {
	mu      sync.Mutex
	buckets [bucketCount]int
	count   int
	max     time.Duration
}

func (h *histogram) add(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buckets[bucketOf(d)]++
	h.count++
	h.max = max(h.max, d)
}

// summary reads the percentiles; with reset it also starts again from nothing.
func (h *histogram) summary(reset bool) Latency {
	h.mu.Lock()
	defer h.mu.Unlock()
	l := Latency{
		Count: h.count,
		P50:   milliseconds(h.percentile(50)), P95: milliseconds(h.percentile(95)), P99: milliseconds(h.percentile(99)),
		Max: milliseconds(h.max),
	}
	if reset {
		h.buckets, h.count, h.max = [bucketCount]int{}, 0, 0
	}
	return l
}

// percentile is the upper end of the bucket that holds the call at that rank, never above the slowest call.
func (h *histogram) percentile(percent int) time.Duration {
	rank, seen := (h.count*percent+99)/100, 0
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return min(bucketEnd(i), h.max)
		}
	}
	return 0
}

// bucketOf gives small microseconds a bucket each, larger ones a step of their power of two.
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
		return time.Duration(i) * time.Microsecond
	}
	shift := i/steps - 1
	return time.Duration(uint64(i%steps+steps+1)<<shift-1) * time.Microsecond
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
