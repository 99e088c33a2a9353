package dialect

import (
	"context"
	"time"

	"onhand/models"
)

// quietMax is how long the database may say nothing to an import or an export.
// The largest statement of an import of a million rows takes a fraction of it.
const SilenceMax = 5 * time.Minute

// errQuiet ends what waits for a database that is frozen, or no longer there.
var errSilent = models.Unavailable("the database has not answered for a long time", nil)

// patience ends a context once the database has been quiet for too long. The
// time that a file, a pipe or a terminal takes does not count.
type Watchdog struct {
	limit time.Duration
	timer *time.Timer
}

// patient gives a context for a work of many statements that have no deadline of
// their own.
func WithWatchdog(ctx context.Context, limit time.Duration) (context.Context, *Watchdog, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &Watchdog{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errSilent) })}
	return ctx, p, func() {
		p.timer.Stop()
		cancel(nil)
	}
}

// heard: the database has answered, and is asked again.
func (p *Watchdog) Reset() { p.timer.Reset(p.limit) }

// meanwhile runs what does not wait for the database.
func (p *Watchdog) Suspend(work func() error) error {
	p.timer.Stop()
	defer p.Reset()
	return work()
}

// over tells errors that come of an end of patience from others.
func WatchdogError(ctx context.Context, err error) error {
	if err != nil && context.Cause(ctx) == errSilent {
		return errSilent
	}
	return err
}
