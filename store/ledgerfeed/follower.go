package ledgerfeed

import (
	"context"
	"errors"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/backoff"
	"onhand/store/database"
)

const (
	// pollInterval is how late a movement is that another process wrote.
	pollInterval = 250 * time.Millisecond
	// awayWaitMax bounds the wait of a follower while the database is away. The
	// followers of all instances read again when it is back.
	awayWaitMax = 2 * time.Second
	// wakeDelay is the time between a commit and the reading that it wakes. There
	// are many commits a second, and one reading serves several.
	wakeDelay = 20 * time.Millisecond
)

// errFollowerEnded ends a watch that was closed, or whose store was.
var errFollowerEnded = errors.New("the ledger is no longer followed")

// movementReader reads movements from one place in the ledger on.
type movementReader interface {
	// Next returns what comes next, without waiting; more tells that there is more
	// to read at once.
	Next(ctx context.Context) (moved []database.Moved, more bool, err error)
}

// follower reads the ledger whenever there may be more. Its methods are for one
// goroutine, but for Close.
type follower struct {
	feed    movementReader
	away    backoff.Backoff // of reads while the database is away
	written *broadcast
	dismiss func() // makes room for another follower
	close   sync.Once
	closed  chan struct{}
}

func newFollower(feed movementReader, written *broadcast, dismiss func()) *follower {
	return &follower{
		feed: feed, away: backoff.Backoff{Min: pollInterval, Max: awayWaitMax},
		written: written, dismiss: dismiss, closed: make(chan struct{}),
	}
}

// read waits until there are movements, and returns them.
func (f *follower) read(ctx context.Context) ([]database.Moved, error) {
	for {
		wake := f.written.wait() // before reading: a commit meanwhile wakes again
		moved, more, err := f.feed.Next(ctx)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil && models.CodeOf(err) != models.CodeUnavailable {
			return nil, err
		}
		if len(moved) > 0 {
			f.away.Reset()
			return moved, nil
		}
		if more && err == nil {
			continue
		}
		if err != nil {
			err = f.backOff(ctx)
		} else {
			err = f.pause(ctx, wake)
		}
		if err != nil {
			return nil, err
		}
	}
}

// pause waits for a commit of this process, or for the next poll.
func (f *follower) pause(ctx context.Context, wake <-chan struct{}) error {
	f.away.Reset()
	return f.wait(ctx, backoff.Jitter(pollInterval), wake)
}

// backOff waits while the database is away, longer each time. A commit does not
// end it.
func (f *follower) backOff(ctx context.Context) error { return f.wait(ctx, f.away.Next(), nil) }

// wait waits for d, or for wakeDelay after a wake.
func (f *follower) wait(ctx context.Context, d time.Duration, wake <-chan struct{}) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-wake:
			wake = nil
			timer.Reset(wakeDelay)
		case <-timer.C:
			return nil
		case <-f.closed:
			return errFollowerEnded
		case <-f.written.ended:
			return errFollowerEnded
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements models.Watch.
func (f *follower) Close() {
	f.close.Do(func() {
		close(f.closed)
		f.dismiss()
	})
}

// movementWatch delivers the movements of a follower one by one.
type movementWatch struct {
	*follower
	ready []database.Moved // at most one reading
}

// Next implements models.Watch.
func (w *movementWatch) Next(ctx context.Context) (*models.StockMovement, error) {
	for len(w.ready) == 0 {
		var err error
		if w.ready, err = w.read(ctx); err != nil {
			return nil, err
		}
	}
	next := w.ready[0]
	w.ready = w.ready[1:]
	return next.StockMovement, nil
}
