package readreplica

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/models/history"
	"onhand/models/paging"
	"onhand/store/database"
)

const (
	// ProbeInterval is how often a replica is probed.
	ProbeInterval = time.Second
	// probeIntervalMax bounds the time to the next probe while the breaker is open. The first
	// wait is half a second to one second. Each one that follows is twice as long, unless the
	// replica has answered a read or this time has passed. One that is only behind is probed
	// every second while no other replica answers.
	probeIntervalMax = 30 * time.Second
	// behindMax is how many reads in a row that find the replica behind open the breaker.
	behindMax = 5
	// slowMax is that for reads that took too long although the replica had answered. One
	// read that takes long says nothing of the replica.
	slowMax = 5
)

// ReplicaReads are the reads that a replica may answer.
type ReplicaReads interface {
	ReadProducts(ctx context.Context, page paging.Request, filter paging.ProductQuery) (paging.ProductPage, error)
	RankProducts(ctx context.Context, filter paging.ProductQuery) ([]string, error)
	ReadMovements(ctx context.Context, page paging.MovementRequest, filter models.MovementFilter) (paging.MovementPage, error)
	ReadMovement(ctx context.Context, movementID int64, productID string) (*models.StockMovement, error)
	ReadStockAsOf(ctx context.Context, productID string, at time.Time) (*models.Stock, error)
	ReadHistories(ctx context.Context, request history.HistoryRequest) ([]*history.StockHistory, error)
}

// Replica reads at a position of the primary that is taken after the call.
type Replica interface {
	// Read calls read with the database as the replica has it, with every transaction that
	// had committed before. It waits for the replica so long.
	//
	// Errors: those of the package database for replicas; any other of the server.
	Read(ctx context.Context, wait time.Duration, read func(*database.Database) error) (lagBytes int64, err error)
	// Address is the host and port of the replica.
	Address() string
}

// ReaderConfig configures a ReplicaReader.
type ReaderConfig struct {
	Primary  ReplicaReads
	Replicas []Replica // in the order of preference; empty for none
	// LagMax is how long a read waits for the replica, and for a connection to it.
	LagMax time.Duration
	// Timeout bounds a read at the replica, the waits included.
	Timeout time.Duration
	Logger  *slog.Logger
}

// ReplicaReader reads from a replica or the primary. It is safe for concurrent use.
type ReplicaReader struct {
	config    ReaderConfig
	breakers  []*breaker // of the replicas
	fallbacks map[fallback]*atomic.Int64
}

// New makes a ReplicaReader. Each breaker is open until the first probe.
func New(config ReaderConfig) *ReplicaReader {
	r := &ReplicaReader{config: config, fallbacks: map[fallback]*atomic.Int64{}}
	for _, why := range fallbackReasons {
		r.fallbacks[why] = &atomic.Int64{}
	}
	for _, replica := range config.Replicas {
		r.breakers = append(r.breakers, newBreaker(replica, config))
	}
	return r
}

// admit returns the first breaker that admits a read; nil for none.
func (r *ReplicaReader) admit() (*breaker, readAttempt) {
	for _, b := range r.breakers {
		if a, ok := b.admit(); ok {
			return b, a
		}
	}
	return nil, readAttempt{}
}

// anyClosed reports whether a breaker other than except is closed.
func (r *ReplicaReader) anyClosed(except *breaker) bool {
	return slices.ContainsFunc(r.breakers, func(b *breaker) bool { return b != except && !b.isOpen() })
}

// Read asks the first replica whose breaker admits a read, and then, or without one, the
// primary.
//
// Errors: those of read at the primary.
func Read[T any](ctx context.Context, r *ReplicaReader, read func(context.Context, ReplicaReads) (T, error)) (answer T, err error) {
	if len(r.breakers) == 0 {
		return read(ctx, r.config.Primary)
	}
	b, attempt := r.admit()
	if b == nil {
		r.fallbacks[breakerOpen].Add(1)
		return read(ctx, r.config.Primary)
	}
	answered, err := r.try(ctx, b, attempt, func(ctx context.Context, at *database.Database) (err error) {
		answer, err = read(ctx, at)
		return err
	})
	if answered || err != nil {
		return answer, err
	}
	return read(ctx, r.config.Primary)
}

// try asks a replica, and reports whether it answered. The only error is that the caller has
// gone.
func (r *ReplicaReader) try(ctx context.Context, b *breaker, attempt readAttempt, read func(context.Context, *database.Database) error) (answered bool, err error) {
	defer b.end(attempt)
	err = b.ask(ctx, read)
	switch {
	case err == nil:
		b.answered(attempt.changes)
		return true, nil
	case ctx.Err() != nil:
		return false, models.Unavailable("the request has ended", ctx.Err())
	}
	why := reasonOf(err)
	r.fallbacks[why].Add(1)
	if b.count(why, attempt.changes) {
		b.fail(err, r.anyClosed(b), attempt.changes)
	}
	return false, nil
}

// Probes returns the probe of each replica, to be called periodically. A probe closes the
// breaker of a replica that can answer now, and opens that of one that cannot. One that was
// busy, or a primary without a position, changes nothing.
func (r *ReplicaReader) Probes() (probes []func(context.Context)) {
	for _, b := range r.breakers {
		probes = append(probes, func(ctx context.Context) {
			if !b.due() {
				return
			}
			changes, _ := b.begin()
			err := b.ask(ctx, func(context.Context, *database.Database) error { return nil })
			switch {
			case ctx.Err() != nil:
			case err == nil:
				b.succeed(changes)
			case reasonOf(err).atFault():
				b.fail(err, r.anyClosed(b), changes)
			}
		})
	}
	return probes
}

// State returns why no replica is used: of each host why its breaker is open. It is nil
// while a breaker is closed, and without replicas.
func (r *ReplicaReader) State() error {
	var reasons []error
	for _, b := range r.breakers {
		reason := b.state()
		if reason == nil {
			return nil
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", b.replica.Address(), reason))
	}
	return errors.Join(reasons...)
}

var (
	errNotProbed = errors.New("the read replica has not been asked yet")
	errSlow      = errors.New("the read took too long at the read replica")
)

// fallback is why the primary answers a read.
type fallback string

const (
	behind      fallback = "behind"       // it has not replayed what had committed
	busy        fallback = "busy"         // all connections to it are in use
	notStandby  fallback = "not_standby"  // the server is not a standby of the primary
	failed      fallback = "failed"       // it did not answer in time, or with an error
	refused     fallback = "refused"      // bad input, or a row that cannot be read: the primary says so
	notFlushed  fallback = "not_flushed"  // nor has the primary flushed it to its disk
	breakerOpen fallback = "breaker_open" // no breaker is closed, or admits one read more
	slow        fallback = "slow"         // it was at the position, and the read took too long
	noPosition  fallback = "no_position"  // the primary did not give its position
)

var fallbackReasons = []fallback{behind, notFlushed, busy, notStandby, failed, refused, breakerOpen, slow, noPosition}

func reasonOf(err error) fallback {
	switch {
	case errors.Is(err, database.ErrReplicaBehind):
		return behind
	case errors.Is(err, database.ErrPrimaryNotFlushed):
		return notFlushed
	case errors.Is(err, database.ErrReplicaBusy):
		return busy
	case errors.Is(err, database.ErrReplicaOther):
		return notStandby
	case errors.Is(err, database.ErrPrimaryPosition):
		return noPosition
	case errors.Is(err, errSlow):
		return slow
	}
	var fault *models.Fault
	if errors.As(err, &fault) && fault.Code != models.CodeUnavailable {
		return refused
	}
	return failed
}

// atFault reports whether the reason is the replica's. Then its breaker opens: at once, or
// for behind, notFlushed and slow after several in a row.
func (f fallback) atFault() bool { return f != busy && f != noPosition && f != refused }
