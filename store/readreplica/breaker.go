package readreplica

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onhand/store/backoff"
	"onhand/store/database"
)

// breaker is the circuit breaker of one replica. It is safe for concurrent use.
type breaker struct {
	replica         Replica
	lagMax, timeout time.Duration
	log             *slog.Logger

	changes  atomic.Int64 // how often it has opened or closed: even while it is open, as at first
	replied  atomic.Int64
	lagBytes atomic.Int64
	behind   atomic.Int64 // reads in a row that found it behind
	slow     atomic.Int64 // reads in a row that took too long

	halfOpen atomic.Bool // no read has been answered since it closed: one at a time is admitted
	trying   atomic.Bool // that one is in flight

	retryGrown atomic.Bool // the next wait is longer than the first

	mu       sync.Mutex
	reason   error           // why it is open; nil before the first probe
	retry    backoff.Backoff // of the probes while it is open
	retryAt  time.Time       // the earliest time of the next probe
	closedAt time.Time       // the last time that it closed
}

func newBreaker(replica Replica, config ReaderConfig) *breaker {
	return &breaker{
		replica: replica, lagMax: config.LagMax, timeout: config.Timeout, log: config.Logger.With("host", replica.Address()),
		retry: backoff.Backoff{Min: ProbeInterval, Max: probeIntervalMax},
	}
}

// begin returns the changes so far, for a read or probe that begins now, and whether the
// breaker is open: then no read goes to the replica.
func (b *breaker) begin() (changes int64, open bool) {
	changes = b.changes.Load()
	return changes, changes%2 == 0
}

// isOpen reports whether no read goes to the replica.
func (b *breaker) isOpen() bool {
	_, open := b.begin()
	return open
}

// readAttempt is a read that a breaker has admitted.
type readAttempt struct {
	changes int64 // of the breaker when it began
	trial   bool  // the only one that is admitted
}

// admit reports whether a read may go to the replica. One that may has to end.
func (b *breaker) admit() (a readAttempt, ok bool) {
	changes, open := b.begin()
	switch {
	case open:
		return a, false
	case !b.halfOpen.Load():
		return readAttempt{changes: changes}, true
	}
	ok = b.trying.CompareAndSwap(false, true)
	return readAttempt{changes, ok}, ok
}

// end ends a read at the replica.
func (b *breaker) end(a readAttempt) {
	if a.trial {
		b.trying.Store(false)
	}
}

// ask reads at the replica within its bounds.
func (b *breaker) ask(ctx context.Context, read func(context.Context, *database.Database) error) error {
	ctx, cancel := context.WithTimeout(ctx, b.timeout)
	defer cancel()
	lag, err := b.replica.Read(ctx, b.lagMax, func(at *database.Database) error {
		err := read(ctx, at)
		if err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
			return errSlow
		}
		return err
	})
	if err == nil || errors.Is(err, database.ErrReplicaBehind) || errors.Is(err, database.ErrPrimaryNotFlushed) { // any other answer tells no lag
		b.lagBytes.Store(lag)
	}
	return err
}

// answered counts an answer. One to a read that began before the last change says nothing of
// the replica now.
func (b *breaker) answered(changes int64) {
	b.replied.Add(1)
	if b.changes.Load() != changes {
		return
	}
	b.behind.Store(0)
	b.slow.Store(0)
	b.halfOpen.Store(false)
	if b.retryGrown.Load() {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.changes.Load() == changes {
			b.resetRetry()
		}
	}
}

// resetRetry makes the next wait for a probe the first one again. The caller has locked mu.
func (b *breaker) resetRetry() {
	b.retry.Reset()
	b.retryGrown.Store(false)
}

// count counts a fallback, and reports whether the breaker has to open for it. A read that
// began before the last change is not counted.
func (b *breaker) count(why fallback, changes int64) (open bool) {
	if b.changes.Load() != changes {
		return false
	}
	switch why {
	case behind, notFlushed:
		return b.behind.Add(1) >= behindMax
	case slow:
		return b.slow.Add(1) >= slowMax
	}
	return why.atFault()
}

// due reports whether the replica may be probed.
func (b *breaker) due() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !time.Now().Before(b.retryAt)
}

// fail opens the breaker, or leaves it open, until the next probe. One that is only behind
// is probed less and less often where another replica answers meanwhile, unless the primary
// has not flushed its log: then all are behind, and soon none is.
//
// Reads that are in flight together fail together: those that began before the last change
// are ignored, so one outage counts as one failure.
func (b *breaker) fail(err error, another bool, changes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes.Load() != changes {
		return
	}
	open := b.isOpen()
	first := !open || b.reason == nil
	wait := ProbeInterval
	if why := reasonOf(err); why != notFlushed && (another || why != behind) {
		wait = b.retry.Next()
		b.retryGrown.Store(true)
	}
	b.reason, b.retryAt = err, time.Now().Add(wait)
	if !open {
		b.changes.Add(1)
	}
	if first {
		b.log.Warn("the read replica is not used", "because", err)
	}
}

// succeed closes the breaker after a probe that succeeded, unless a read has opened it since
// the probe began. A probe says little of the next read: only a read that the replica
// answered, or probeIntervalMax without a failure, makes the next wait short again.
func (b *breaker) succeed(changes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes.Load() != changes {
		return
	}
	b.reason = nil
	if b.isOpen() { // a probe between two late reads does not reset their count
		b.behind.Store(0)
		b.slow.Store(0)
		b.halfOpen.Store(true)
		b.changes.Add(1)
		b.closedAt = time.Now()
		b.log.Info("the read replica is used")
	} else if time.Since(b.closedAt) >= probeIntervalMax {
		b.resetRetry()
	}
}

// state returns why the breaker is open; nil while it is closed.
func (b *breaker) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen() && b.reason == nil {
		return errNotProbed
	}
	return b.reason
}
