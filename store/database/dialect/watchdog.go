package dialect

import (
	"context"
	"time"

	"onhand/models"
)

// SilenceMax is how long the database may be silent during an import or an export. The
// largest statement of an import of a million rows takes a fraction of it.
const SilenceMax = 5 * time.Minute

var errSilent = models.Unavailable("the database has not answered for a long time", nil)

// Watchdog cancels a context when the database has been silent for too long. It is for
// work of many statements without a deadline. Time spent on a file, a pipe or a
// terminal does not count.
type Watchdog struct {
	limit time.Duration
	timer *time.Timer
}

// WithWatchdog returns a context with a watchdog that is running.
func WithWatchdog(ctx context.Context, limit time.Duration) (context.Context, *Watchdog, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &Watchdog{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errSilent) })}
	return ctx, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

// Reset notes that the database has answered.
func (w *Watchdog) Reset() { w.timer.Reset(w.limit) }

// Suspend runs work that does not wait for the database.
func (w *Watchdog) Suspend(work func() error) error {
	w.timer.Stop()
	defer w.Reset()
	return work()
}

// WatchdogError replaces an error that the watchdog caused by one that says so.
func WatchdogError(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errSilent {
		return errSilent
	}
	return err
}
