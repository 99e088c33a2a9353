package main

import (
	"context"
	"errors"
	"math/bits"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// worker is one caller of the closed loop.
type worker struct {
	// turn ends with the turn: whoever is still waiting to begin a call may give up.
	turn context.Context
	// own is a context of its own that could end, as each request to a server has.
	own    context.Context
	number int
	rng    *rand.Rand
	prefix string
	calls  int
	// What its calls were acknowledged for.
	lines, units int
}

// key is an idempotency key that no other call of the run has.
func (w *worker) key() string {
	w.calls++
	b := make([]byte, 0, 48)
	b = append(b, w.prefix...)
	b = strconv.AppendInt(b, int64(w.number), 10)
	b = append(b, '-')
	return string(strconv.AppendInt(b, int64(w.calls), 10))
}

// load says how hard and how long.
type load struct {
	callers      int
	warm, length time.Duration
}

// measure is what one turn of a contender came to.
type measure struct {
	PerSecond float64
	P50, P99  time.Duration
	// Acknowledged counts all calls of the turn, those while warming up too.
	Acknowledged, Lines, Units int
}

// runCount makes the prefixes of idempotency keys differ from turn to turn.
var runCount atomic.Int64

// errOver is what a call returns that was given up before it began, because the turn was over.
var errOver = errors.New("the turn is over")

// run lets callers call as fast as they are answered, and measures those calls that were answered after the warm-up
// and before the end. The first error ends the turn.
func run(l load, name string, call func(*worker) error) (measure, error) {
	var (
		group   sync.WaitGroup
		mu      sync.Mutex
		failure error
		failed  atomic.Bool
		counted histogram
		total   measure
		start   = make(chan struct{})
		from    time.Time
		to      time.Time
	)
	turn, end := context.WithCancel(context.Background())
	defer end()
	prefix := name + "-" + strconv.FormatInt(runCount.Add(1), 10) + "-"
	for i := range l.callers {
		group.Go(func() {
			own, leave := context.WithCancel(context.Background())
			defer leave()
			w := &worker{turn: turn, own: own, number: i, prefix: prefix, rng: rand.New(rand.NewPCG(uint64(i), 4))}
			done := 0
			<-start
			for before := time.Now(); before.Before(to) && !failed.Load(); {
				err := call(w)
				if errors.Is(err, errOver) {
					break
				}
				if err != nil {
					failed.Store(true)
					mu.Lock()
					failure = err
					mu.Unlock()
					break
				}
				done++
				after := time.Now()
				if after.After(from) && after.Before(to) {
					counted.add(after.Sub(before))
				}
				before = after
			}
			mu.Lock()
			total.Acknowledged, total.Lines, total.Units = total.Acknowledged+done, total.Lines+w.lines, total.Units+w.units
			mu.Unlock()
		})
	}
	from = time.Now().Add(l.warm)
	to = from.Add(l.length)
	time.AfterFunc(time.Until(to), end)
	close(start)
	group.Wait()
	total.PerSecond = float64(counted.count()) / l.length.Seconds()
	total.P50, total.P99 = counted.percentile(50), counted.percentile(99)
	return total, failure
}

// A latency is counted in a bucket of its binary magnitude, cut in 2^stepBits steps: percentiles are exact to 3 %.
const (
	stepBits    = 5
	steps       = 1 << stepBits
	bucketCount = (64 - stepBits) * steps
)

// histogram counts latencies without a lock, because callers must cost little.
type histogram struct{ buckets [bucketCount]atomic.Uint32 }

func (h *histogram) add(d time.Duration) { h.buckets[bucketOf(d)].Add(1) }

func (h *histogram) count() (n int) {
	for i := range h.buckets {
		n += int(h.buckets[i].Load())
	}
	return n
}

// percentile is the upper end of the bucket that holds the call at that rank.
func (h *histogram) percentile(percent int) time.Duration {
	rank, seen := (h.count()*percent+99)/100, 0
	for i := range h.buckets {
		n := int(h.buckets[i].Load())
		if seen += n; n > 0 && seen >= rank {
			return bucketEnd(i)
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
