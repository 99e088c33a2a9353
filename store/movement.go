package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"onhand/models"
	"onhand/store/backoff"
	"onhand/store/database"
)

// Bounds of following the ledger.
const (
	// followersMax is how many may follow it in one process. Each reads for
	// itself, a few times a second.
	followersMax = 256
	// followEvery is how late a movement is that this process did not write.
	followEvery = 250 * time.Millisecond
	// followAwayMax bounds the wait of a follower whose database is away: all of
	// them, of all copies, ask it again at once when it is back.
	followAwayMax = 2 * time.Second
	// followPause is the time between a write and the reading that it
	// wakes: writes come in batches, many a second.
	followPause = 20 * time.Millisecond
)

// Movements reads a page of the ledger, newest first.
func (s *Store) Movements(ctx context.Context, page models.MovementsPage, filter models.MovementFilter) (models.MovementPage, error) {
	return s.database.ReadMovements(ctx, page, filter)
}

// Movement reads one movement of the ledger; nil when there is none.
func (s *Store) Movement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error) {
	return s.database.ReadMovement(ctx, movementID, productID)
}

// StockAsOf reads a product as it was, from the ledger; nil when it is unknown.
//
// Errors: bad input for a moment that has not come.
func (s *Store) StockAsOf(ctx context.Context, id string, at time.Time) (*models.Stock, error) {
	return s.database.ReadStockAsOf(ctx, id, at)
}

// WatchMovements follows the ledger after a cursor or, with an empty one, from
// now on: every movement that the filter lets through, once and in order. A
// reader that is slow is read for later; nothing queues up. While the database
// is away it waits.
//
// Errors: bad input for a cursor that is none, unavailable where there is no
// room for another follower.
func (s *Store) WatchMovements(ctx context.Context, after string, filter models.MovementFilter) (models.Watch[*models.StockMovement], error) {
	f, err := s.follow(func() (*database.Feed, error) { return s.database.Feed(ctx, after, filter) })
	if err != nil {
		return nil, err
	}
	return &movementWatch{follower: f}, nil
}

// movementWatch hands out what a follower reads one by one.
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

// follower reads a feed whenever there may be more.
type follower struct {
	feed    *database.Feed
	away    backoff.Backoff // of waits while the database is away
	bell    *bell
	dismiss func()
	close   sync.Once
	closed  chan struct{}
}

func (s *Store) follow(begin func() (*database.Feed, error)) (*follower, error) {
	select {
	case s.followers <- struct{}{}:
	default:
		return nil, models.Unavailable("too many follow the ledger; please try again later", nil)
	}
	feed, err := begin()
	if err != nil {
		<-s.followers
		return nil, err
	}
	return &follower{
		feed: feed, away: awayPace(), bell: s.written, dismiss: func() { <-s.followers }, closed: make(chan struct{}),
	}, nil
}

// errNoLongerFollowed ends a watch that was closed, or whose store was.
var errNoLongerFollowed = errors.New("the ledger is no longer followed")

// read waits until there is something, and reads it.
func (f *follower) read(ctx context.Context) ([]database.Moved, error) {
	for {
		rung := f.bell.next() // before reading: what comes meanwhile rings again
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
		if err := f.wait(ctx, rung, err != nil); err != nil {
			return nil, err
		}
	}
}

func awayPace() backoff.Backoff { return backoff.Backoff{Min: followEvery, Max: followAwayMax} }

// until is how long to wait for the next time: longer and longer while the
// database is away.
func (f *follower) until(away bool) time.Duration {
	if away {
		return f.away.Next()
	}
	f.away.Reset()
	return backoff.Jitter(followEvery)
}

// wait waits for a write of this process or, while the database is away, only
// for the next time.
func (f *follower) wait(ctx context.Context, rung <-chan struct{}, away bool) error {
	if away {
		rung = nil
	}
	timer := time.NewTimer(f.until(away))
	defer timer.Stop()
	for {
		select {
		case <-rung:
			rung = nil
			timer.Reset(followPause)
		case <-timer.C:
			return nil
		case <-f.closed:
			return errNoLongerFollowed
		case <-f.bell.ended:
			return errNoLongerFollowed
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
