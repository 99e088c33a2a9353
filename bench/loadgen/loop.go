package loadgen

import (
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Worker is one caller of the closed loop.
type Worker struct {
	// Turn ends with the turn: a call that has not begun by then may return ErrOver.
	Turn context.Context
	// Own can end, as the context of each request to a server can. It outlives the turn.
	Own context.Context
	// Number counts the workers of a turn from 0.
	Number int

	rng    *rand.Rand
	prefix string
	calls  int
	// What its calls were acknowledged for.
	lines, units int
}

// Key is an idempotency key that no other call of the run has.
func (w *Worker) Key() string { return string(w.AppendKey(make([]byte, 0, 48))) }

// AppendKey appends such a key. It needs no escaping in JSON.
func (w *Worker) AppendKey(to []byte) []byte {
	w.calls++
	to = append(to, w.prefix...)
	to = strconv.AppendInt(to, int64(w.Number), 10)
	to = append(to, '-')
	return strconv.AppendInt(to, int64(w.calls), 10)
}

// Choose draws one of the baskets, each equally likely.
func (w *Worker) Choose(baskets []Basket) Basket {
	if len(baskets) == 1 {
		return baskets[0]
	}
	return baskets[w.rng.IntN(len(baskets))]
}

// Acknowledge counts a basket that was reserved.
func (w *Worker) Acknowledge(b Basket) {
	w.lines += len(b.Lines)
	w.units += b.units
}

// Params are those of a turn: how many callers there are, and for how long.
type Params struct {
	Callers      int
	Warm, Length time.Duration
}

// Measurement is the result of one turn.
type Measurement struct {
	PerSecond float64
	P50, P99  time.Duration
	// Acknowledged counts all calls of the turn, those of the warm-up too; Lines and Units what they reserved.
	Acknowledged, Lines, Units int
	// CPU is what one call took of the servers, where they are processes of their own.
	CPU time.Duration
}

// Plus adds what both acknowledged. Rates add up, latencies and CPU time do not: the larger one counts.
func (m Measurement) Plus(o Measurement) Measurement {
	return Measurement{
		PerSecond: m.PerSecond + o.PerSecond, P50: max(m.P50, o.P50), P99: max(m.P99, o.P99),
		Acknowledged: m.Acknowledged + o.Acknowledged, Lines: m.Lines + o.Lines, Units: m.Units + o.Units,
		CPU: max(m.CPU, o.CPU),
	}
}

// turns makes the prefixes of idempotency keys differ from turn to turn.
var turns atomic.Int64

// ErrOver is the result of a call that was given up before it began, because the turn was over.
var ErrOver = errors.New("the turn is over")

// loop is one turn in progress.
type loop struct {
	call     func(*Worker) error
	turn     context.Context
	from, to time.Time // the measured part
	counted  Histogram
	failed   atomic.Bool

	mu      sync.Mutex
	failure error
	total   Measurement
}

// Run lets callers call as fast as they are answered. It measures the calls that are answered after the warm-up and
// before the end. name keeps the idempotency keys of several programs apart. The first error ends the turn.
func Run(load Params, name string, call func(*Worker) error) (Measurement, error) {
	turn, end := context.WithCancel(context.Background())
	defer end()
	l := &loop{call: call, turn: turn}
	prefix := name + "-" + strconv.FormatInt(turns.Add(1), 10) + "-"
	start := make(chan struct{})
	var workers sync.WaitGroup
	for i := range load.Callers {
		workers.Go(func() {
			own, leave := context.WithCancel(context.Background())
			defer leave()
			w := &Worker{Turn: turn, Own: own, Number: i, prefix: prefix, rng: rand.New(rand.NewPCG(uint64(i), 4))}
			<-start
			l.run(w)
		})
	}
	l.from = time.Now().Add(load.Warm)
	l.to = l.from.Add(load.Length)
	time.AfterFunc(time.Until(l.to), end)
	close(start)
	workers.Wait()
	snapshot := l.counted.Snapshot()
	l.total.PerSecond = float64(snapshot.Count) / load.Length.Seconds()
	l.total.P50, l.total.P99 = snapshot.Percentile(50), snapshot.Percentile(99)
	return l.total, l.failure
}

// run sends one worker's calls until the turn is over.
func (l *loop) run(w *Worker) {
	done := 0
	var failure error
	for before := time.Now(); before.Before(l.to) && !l.failed.Load(); {
		if failure = l.call(w); failure != nil {
			break
		}
		done++
		after := time.Now()
		if after.After(l.from) && after.Before(l.to) {
			l.counted.Add(after.Sub(before))
		}
		before = after
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if failure != nil && !errors.Is(failure, ErrOver) {
		l.failed.Store(true)
		l.failure = failure
	}
	l.total.Acknowledged += done
	l.total.Lines += w.lines
	l.total.Units += w.units
}
