package ledgerfeed

import (
	"context"

	"onhand/models"
	"onhand/store/database"
)

// followersMax bounds the followers of a process. Each reads for itself, a few
// times a second.
const followersMax = 256

// LedgerSource reads the ledger in the database.
type LedgerSource interface {
	// Feed reads the movements that pass a filter, after a cursor or, where it is
	// empty, from now on.
	Feed(ctx context.Context, after string, filter models.MovementFilter) (*database.Feed, error)
	// FeedOfProducts reads the movements of products (none: of all) from now on, and
	// marks the first and the last one of each transaction.
	FeedOfProducts(ctx context.Context, products []string) (*database.Feed, error)
	// ReadStocksAfter reads products as they were after a movement.
	ReadStocksAfter(ctx context.Context, refs []database.MovementRef) ([]*models.Stock, error)
}

// DirectorySnapshot returns all locations and channels.
type DirectorySnapshot interface{ Directory() *models.Directory }

// Followers lets a bounded number of subscribers follow the ledger. It is safe
// for concurrent use.
type Followers struct {
	source    LedgerSource
	directory DirectorySnapshot
	written   *broadcast
	admitted  chan struct{} // one token for each follower
}

// NewFollowers makes Followers.
func NewFollowers(source LedgerSource, directory DirectorySnapshot) *Followers {
	return &Followers{
		source: source, directory: directory, written: newBroadcast(), admitted: make(chan struct{}, followersMax),
	}
}

// Count returns how many followers there are.
func (f *Followers) Count() int { return len(f.admitted) }

// Wake has all followers read now. Call it after each commit.
func (f *Followers) Wake() { f.written.send() }

// Stop ends every follower. It may be called more than once.
func (f *Followers) Stop() { f.written.end() }

// WatchMovements follows the ledger after a cursor or, where it is empty, from
// now on: every movement that passes the filter, once and in order. A slow
// subscriber is read for later; nothing queues up. While the database is away,
// the watch waits.
//
// Errors: bad input for an invalid cursor; UNAVAILABLE when there are too many
// followers.
func (f *Followers) WatchMovements(ctx context.Context, after string, filter models.MovementFilter) (models.Watch[*models.StockMovement], error) {
	follower, err := f.admit(func() (*database.Feed, error) { return f.source.Feed(ctx, after, filter) })
	if err != nil {
		return nil, err
	}
	return &movementWatch{follower: follower}, nil
}

// WatchStatus follows changes of stock status from now on: each product whose
// status changed through a movement of its stock, by any writer, with the status
// before. With a channel, only the channel's locations count. Statuses and products
// narrow the watch, where there are any.
//
// It follows the ledger, so it misses no change, and it keeps nothing about
// products that do not move. The stock after a movement is that of now without
// later movements; the stock before it is that without the movement too. What one
// transaction did to a product counts as one change.
func (f *Followers) WatchStatus(ctx context.Context, channel string, statuses []models.StockStatus, products []string) (models.Watch[*models.StockStatusChange], error) {
	follower, err := f.admit(func() (*database.Feed, error) { return f.source.FeedOfProducts(ctx, products) })
	if err != nil {
		return nil, err
	}
	return &statusWatch{
		follower: follower, source: f.source, directory: f.directory,
		channel: channel, view: &models.ChannelMembers{}, statuses: statuses, open: map[string]*productChange{},
	}, nil
}

// admit makes a follower where there is room for one more.
func (f *Followers) admit(open func() (*database.Feed, error)) (*follower, error) {
	select {
	case f.admitted <- struct{}{}:
	default:
		return nil, models.Unavailable("too many follow the ledger; please try again later", nil)
	}
	dismiss := func() { <-f.admitted }
	feed, err := open()
	if err != nil {
		dismiss()
		return nil, err
	}
	return newFollower(feed, f.written, dismiss), nil
}
