package groupcommit

import (
	"context"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/database"
	"onhand/tracing"
)

// WaitMax bounds how long a caller waits: a little longer than the database takes to
// give up on a transaction.
const WaitMax = 6 * time.Second

// waiter is one caller and its write.
type waiter struct {
	write *database.PreparedWrite
	ticks int               // how often the ticker had ticked when it came
	gone  bool              // the caller gave up, or was answered that its time is over
	rows  []database.RowRef // that it waits for while it is blocked

	caller tracing.RecordedSpan // the caller's

	answered atomic.Bool   // the goroutine that sets it gives the answer
	done     chan struct{} // closed once result and err are set
	result   models.WriteResult
	err      error
}

// answer answers the caller, unless it has an answer: its batch may end at the
// moment when its time is over.
func (w *waiter) answer(result models.WriteResult, err error) {
	if w.answered.CompareAndSwap(false, true) {
		w.result, w.err = result, err
		close(w.done)
	}
}

// errLate answers a caller whose deadline has passed.
func errLate(cause error) error {
	return models.Unavailable("there was no answer in time; send the same key again", cause)
}

// wait waits for the answer. It comes within WaitMax and tickInterval.
func (c *Committer) wait(ctx context.Context, w *waiter) (models.WriteResult, error) {
	if c.without.NoTicker {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, WaitMax)
		defer cancel()
	}
	select {
	case <-w.done:
		return w.result, w.err
	case <-ctx.Done():
		c.mu.Lock()
		w.gone = true
		c.mu.Unlock()
		return models.WriteResult{}, errLate(context.Cause(ctx))
	}
}
