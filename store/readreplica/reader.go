package readreplica

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/models/history"
	"onhand/models/paging"
	"onhand/store/backoff"
	"onhand/store/database"
)

const (
	// ProbeInterval is how often the replica is probed.
	ProbeInterval = time.Second
	// behindMax is how many reads in a row may find the replica behind before it rests.
	behindMax = 5
	// slowMax is that for reads that took too long although the replica had answered. A
	// question that takes long says nothing of the replica.
	slowMax = 5
	// restMax bounds how long the replica rests after many failures. The first rest is half a
	// second to one second, and each one that follows within two probes is twice as long. A
	// replica that is only behind rests for one second.
	restMax = 30 * time.Second
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
}

// ReaderConfig configures a ReplicaReader.
type ReaderConfig struct {
	Primary ReplicaReads
	Replica Replica // nil for none
	// LagMax is how long a read waits for the replica, and for a connection to it.
	LagMax time.Duration
	// Timeout bounds a read at the replica, the waits included.
	Timeout time.Duration
	Logger  *slog.Logger
}

// ReplicaReader reads from the replica or the primary. It is safe for concurrent use.
type ReplicaReader struct {
	config    ReaderConfig
	resting   atomic.Bool // no read goes to the replica
	replied   atomic.Int64
	lagBytes  atomic.Int64
	behind    atomic.Int64 // reads in a row that found it behind
	slow      atomic.Int64 // reads in a row that took too long
	fallbacks map[fallback]*atomic.Int64

	mu     sync.Mutex
	reason error // why the replica rests; nil before the first probe
	rest   backoff.Backoff
	until  time.Time // the earliest time of the next probe
}

// New makes a ReplicaReader. The replica rests until the first probe.
func New(config ReaderConfig) *ReplicaReader {
	r := &ReplicaReader{config: config, fallbacks: map[fallback]*atomic.Int64{}, rest: backoff.Backoff{Min: ProbeInterval, Max: restMax}}
	for _, why := range fallbackReasons {
		r.fallbacks[why] = &atomic.Int64{}
	}
	r.resting.Store(true)
	return r
}

// Read has the replica answer, or else the primary.
//
// Errors: those of read at the primary.
func Read[T any](ctx context.Context, r *ReplicaReader, read func(context.Context, ReplicaReads) (T, error)) (answer T, err error) {
	if r.config.Replica == nil {
		return read(ctx, r.config.Primary)
	}
	if r.resting.Load() {
		r.fallbacks[resting].Add(1)
		return read(ctx, r.config.Primary)
	}
	err = r.ask(ctx, func(ctx context.Context, at *database.Database) (err error) {
		answer, err = read(ctx, at)
		return err
	})
	switch {
	case err == nil:
		r.replied.Add(1)
		r.behind.Store(0)
		r.slow.Store(0)
		return answer, nil
	case ctx.Err() != nil: // the caller has gone
		return answer, models.Unavailable("the request has ended", ctx.Err())
	}
	why := reasonOf(err)
	r.fallbacks[why].Add(1)
	if r.tooMany(why) {
		r.fail(err)
	}
	return read(ctx, r.config.Primary)
}

// tooMany counts a fallback, and reports whether the replica has to rest for it.
func (r *ReplicaReader) tooMany(why fallback) bool {
	switch why {
	case behind:
		return r.behind.Add(1) >= behindMax
	case slow:
		return r.slow.Add(1) >= slowMax
	}
	return why.atFault()
}

// ask reads at the replica within its bounds.
func (r *ReplicaReader) ask(ctx context.Context, read func(context.Context, *database.Database) error) error {
	ctx, cancel := context.WithTimeout(ctx, r.config.Timeout)
	defer cancel()
	lag, err := r.config.Replica.Read(ctx, r.config.LagMax, func(at *database.Database) error {
		err := read(ctx, at)
		if err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)) {
			return errSlow
		}
		return err
	})
	if err == nil || errors.Is(err, database.ErrReplicaBehind) { // any other answer tells no lag
		r.lagBytes.Store(lag)
	}
	return err
}

// Probe has the replica rest or work, by whether it can answer now; busy and unknown leave
// it as it is.
func (r *ReplicaReader) Probe(ctx context.Context) {
	if r.config.Replica == nil || !r.due() {
		return
	}
	err := r.ask(ctx, func(context.Context, *database.Database) error { return nil })
	switch {
	case ctx.Err() != nil:
	case err == nil:
		r.recover()
	case reasonOf(err).atFault():
		r.fail(err)
	}
}

func (r *ReplicaReader) due() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !time.Now().Before(r.until)
}

// fail has the replica rest.
func (r *ReplicaReader) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := !r.resting.Swap(true) || r.reason == nil
	rest := ProbeInterval
	if reasonOf(err) != behind {
		rest = r.rest.Next()
	}
	r.reason, r.until = err, time.Now().Add(rest)
	if first {
		r.config.Logger.Warn("the read replica is not used", "because", err)
	}
}

// recover ends the rest of the replica.
func (r *ReplicaReader) recover() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.reason = nil
	r.behind.Store(0)
	r.slow.Store(0)
	if r.resting.Swap(false) {
		r.config.Logger.Info("the read replica is used")
	} else {
		r.rest.Reset() // two probes in turn
	}
}

// State returns why the replica is not used; nil while it is, and without one.
func (r *ReplicaReader) State() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.config.Replica == nil || !r.resting.Load():
		return nil
	case r.reason == nil:
		return errNotProbed
	}
	return r.reason
}

var (
	errNotProbed = errors.New("the read replica has not been asked yet")
	errSlow      = errors.New("several reads in a row took too long at the read replica")
)

// fallback is why the primary answers a read.
type fallback string

const (
	behind  fallback = "behind"  // it has not replayed what had committed
	busy    fallback = "busy"    // all connections to it are in use
	other   fallback = "other"   // the server is not a standby of the primary
	failed  fallback = "failed"  // it did not answer in time, or with an error
	refused fallback = "refused" // bad input, or a row that cannot be read: the primary says so
	resting fallback = "resting" // it failed before
	slow    fallback = "slow"    // it was at the position, and the read took too long
	unknown fallback = "unknown" // the primary did not give its position
)

var fallbackReasons = []fallback{behind, busy, other, failed, refused, resting, slow, unknown}

func reasonOf(err error) fallback {
	switch {
	case errors.Is(err, database.ErrReplicaBehind):
		return behind
	case errors.Is(err, database.ErrReplicaBusy):
		return busy
	case errors.Is(err, database.ErrReplicaOther):
		return other
	case errors.Is(err, database.ErrPrimaryPosition):
		return unknown
	case errors.Is(err, errSlow):
		return slow
	}
	var fault *models.Fault
	if errors.As(err, &fault) && fault.Code != models.CodeUnavailable {
		return refused
	}
	return failed
}

// atFault reports whether the reason is the replica's: it then rests, for behind and slow
// after several in a row.
func (f fallback) atFault() bool { return f != busy && f != unknown && f != refused }
