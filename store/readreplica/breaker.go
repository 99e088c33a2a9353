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
	grown    atomic.Bool  // the next rest is longer than the first

	mu     sync.Mutex
	reason error // why the replica rests; nil before the first probe
	rest   backoff.Backoff
	until  time.Time // the earliest time of the next probe
	since  time.Time // when its last rest ended
}

func newBreaker(replica Replica, config ReaderConfig) *breaker {
	return &breaker{
		replica: replica, lagMax: config.LagMax, timeout: config.Timeout, log: config.Logger.With("host", replica.Address()),
		rest: backoff.Backoff{Min: ProbeInterval, Max: restMax},
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
	if err == nil || errors.Is(err, database.ErrReplicaBehind) { // any other answer tells no lag
		b.lagBytes.Store(lag)
	}
	return err
}

// answered counts an answer.
func (b *breaker) answered() {
	b.replied.Add(1)
	b.behind.Store(0)
	b.slow.Store(0)
	if b.grown.Load() {
		b.mu.Lock()
		b.resetRest()
		b.mu.Unlock()
	}
}

// resetRest makes the next rest the first one again. The caller has locked mu.
func (b *breaker) resetRest() {
	b.rest.Reset()
	b.grown.Store(false)
}

// tooMany counts a fallback, and reports whether the replica has to rest for it. One of a
// read that began before the last change tells nothing new.
func (b *breaker) tooMany(why fallback, changes int64) bool {
	if b.changes.Load() != changes {
		return false
	}
	switch why {
	case behind:
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
	return !time.Now().Before(b.until)
}

// fail has the replica rest. The rests of one that is only behind grow where another one
// answers meanwhile.
//
// Reads that are in flight together fail together: what began before the last change tells
// nothing new, and one outage counts once.
func (b *breaker) fail(err error, another bool, changes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes.Load() != changes {
		return
	}
	open := b.isOpen()
	first := !open || b.reason == nil
	rest := ProbeInterval
	if another || reasonOf(err) != behind {
		rest = b.rest.Next()
		b.grown.Store(true)
	}
	b.reason, b.until = err, time.Now().Add(rest)
	if !open {
		b.changes.Add(1)
	}
	if first {
		b.log.Warn("the read replica is not used", "because", err)
	}
}

// recover ends the rest of the replica. A probe says little of the next read: only a read
// that it answered, or a long time, make the next rest short again.
func (b *breaker) recover(changes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.changes.Load() != changes { // a read has failed since the probe began
		return
	}
	b.reason = nil
	if b.isOpen() { // between two reads a probe does not part those in a row
		b.behind.Store(0)
		b.slow.Store(0)
		b.changes.Add(1)
		b.since = time.Now()
		b.log.Info("the read replica is used")
	} else if time.Since(b.since) >= restMax {
		b.resetRest()
	}
}

// state returns why the replica rests; nil while it does not.
func (b *breaker) state() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.isOpen() && b.reason == nil {
		return errNotProbed
	}
	return b.reason
}
