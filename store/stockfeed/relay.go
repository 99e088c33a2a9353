package stockfeed

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/backoff"
)

const (
	// pollEveryDefault is how late a change is that nobody announced: those of a
	// process that died between its commit and telling Redis.
	pollEveryDefault = 250 * time.Millisecond
	// batchDefault is how many rows one transaction carries.
	batchDefault = 500
	// retryMin and retryMax bound the wait after a failure.
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
	// compactEvery is how often, at most, a waiting outbox is compacted.
	compactEvery = 10 * time.Second
	// listenRetryMin and listenRetryMax bound the wait before listening again.
	// Polling goes on meanwhile, so there is no hurry.
	listenRetryMin = 200 * time.Millisecond
	listenRetryMax = 10 * time.Second
)

// ErrNoListen is what Outbox.Listen answers where the database has no
// notifications.
var ErrNoListen = errors.New("the database has no notifications")

// Outbox is the database's side of the relay.
type Outbox interface {
	// Carry claims up to limit rows that no other copy is carrying and calls
	// carry; when that returns nil, the rows are deleted. It returns how many
	// rows that were. Rows whose carrier died are claimed again.
	Carry(ctx context.Context, limit int, carry func(ctx context.Context, changes []models.Change) error) (carried int, err error)
	// Listen calls wake once it listens and then for every notification. It
	// returns when the connection is lost or ctx ends, or ErrNoListen at once.
	Listen(ctx context.Context, wake func()) error
	// Compact drops rows that a later row of the same product makes needless.
	Compact(ctx context.Context) error
}

// RelayCache is the cache's side of the relay.
type RelayCache interface {
	// Behind names the products of which Redis does not show that the change or
	// a later one was published in that epoch.
	Behind(ctx context.Context, changes []models.Change, epoch string) ([]string, error)
	// Apply sets and publishes stocks, unless newer ones are there.
	Apply(ctx context.Context, stocks []*models.Stock) error
}

// RelayConfig is what a Relay needs; zero bounds mean defaults.
type RelayConfig struct {
	Outbox Outbox
	Cache  RelayCache
	// Read reads products from the database, nil (or left out) for unknown ones.
	// Those that cannot be read are in an *UnreadableError beside the others.
	Read func(ctx context.Context, ids []string) ([]*models.Stock, error)
	// Epoch is the history the database is in.
	Epoch func() string
	// Offer, where not nil, is given what was carried: Hub.Offer.
	Offer func([]*models.Stock)
	// Forget, where not nil, is told of products that changed and are no longer
	// in the database.
	Forget func(ctx context.Context, epoch string, gone []models.Change) error
	// Drop, where not nil, removes products from the cache that cannot be read.
	Drop func(ctx context.Context, ids []string) error
	// PollInterval is how often the outbox is looked at unasked, give or take a
	// tenth; Batch, how many rows one transaction carries.
	PollInterval time.Duration
	Batch        int
	Logger       *slog.Logger
}

// Relay carries the outbox to Redis. Any number of copies may run.
type Relay struct {
	service
	cfg       RelayConfig
	wake      chan struct{}
	again     chan struct{} // poked by TryAgain
	compacted time.Time     // when the outbox last was, or the failing began
	// compactEvery and retry are the constants, but for tests.
	compactEvery time.Duration
	retry        backoff.Backoff
	parked       parked

	carried, applied, failures atomic.Int64
	listening, failing         atomic.Bool
}

// NewRelay makes a relay.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Batch <= 0 {
		cfg.Batch = batchDefault
	}
	setDefault(&cfg.PollInterval, pollEveryDefault)
	return &Relay{
		service: newService(), cfg: cfg, wake: make(chan struct{}, 1), again: make(chan struct{}, 1), compactEvery: compactEvery,
		retry:  backoff.Backoff{Min: retryMin, Max: retryMax},
		parked: parked{products: make(map[string]*parkedProduct), waitMin: parkMin},
	}
}

// Start begins to carry, until Stop is called or ctx ends.
func (r *Relay) Start(ctx context.Context) error { return r.start(ctx, r.run) }

// Stop ends the relay and waits for it. What it was carrying is carried again
// by the next one.
func (r *Relay) Stop() { r.stop() }

// RelayStats are the relay's numbers, for metrics.
type RelayStats struct {
	// Carried counts outbox rows taken off, Applied the products Redis had to be
	// told of, Failures the rounds that failed.
	Carried, Applied, Failures int64
	// Listening tells whether notifications arrive; Failing, whether the last
	// round failed, so that rows are waiting.
	Listening, Failing bool
	// Parked counts the products that changed and cannot be read.
	Parked int64
}

// Stats returns the relay's numbers.
func (r *Relay) Stats() RelayStats {
	return RelayStats{
		Carried: r.carried.Load(), Applied: r.applied.Load(), Failures: r.failures.Load(),
		Listening: r.listening.Load(), Failing: r.failing.Load(), Parked: r.parked.count.Load(),
	}
}

func (r *Relay) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { r.listen(ctx) })
	wait := r.retry
	for ctx.Err() == nil {
		err := r.drain(ctx)
		if ctx.Err() != nil {
			return
		}
		r.report(err)
		if err != nil {
			r.compact(ctx)
			if !r.awaitAgain(ctx, wait.Next()) {
				return
			}
			continue
		}
		wait.Reset()
		if !r.await(ctx) {
			return
		}
	}
}

// TryAgain ends the wait after a failure: what was away is back. It does not
// block.
func (r *Relay) TryAgain() { poke(r.again) }

// awaitAgain waits after a failure. What notifies of changes does not end it.
func (r *Relay) awaitAgain(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-r.again:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// await waits for a wake-up or the next poll.
func (r *Relay) await(ctx context.Context) bool {
	timer := time.NewTimer(backoff.Jitter(r.cfg.PollInterval))
	defer timer.Stop()
	select {
	case <-r.wake:
		return true
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// drain carries batch after batch until one is not full, and then looks at
// what was put aside.
func (r *Relay) drain(ctx context.Context) error {
	for {
		carried, err := r.cfg.Outbox.Carry(ctx, r.cfg.Batch, r.carry)
		if err != nil {
			return err
		}
		r.carried.Add(int64(carried))
		if carried < r.cfg.Batch {
			return r.retryParked(ctx)
		}
	}
}

// carry tells Redis of the changes it has not heard of. Most often that is
// none: whoever made them told it.
func (r *Relay) carry(ctx context.Context, changes []models.Change) error {
	latest := coalesce(changes)
	epoch := r.cfg.Epoch()
	behind, err := r.cfg.Cache.Behind(ctx, latest, epoch)
	if err != nil || len(behind) == 0 {
		return err
	}
	return r.tell(ctx, epoch, latest, behind)
}

// tell reads products that changed and tells Redis. What cannot be read is put
// aside, so that the others go on.
func (r *Relay) tell(ctx context.Context, epoch string, changes []models.Change, behind []string) error {
	stocks, err := r.cfg.Read(ctx, behind)
	var unreadable *UnreadableError
	if errors.As(err, &unreadable) {
		err = r.park(ctx, changes, unreadable)
	}
	if err != nil {
		return err
	}
	found := make([]*models.Stock, 0, len(stocks))
	for _, s := range stocks {
		if s != nil {
			found = append(found, s)
		}
	}
	err = r.cfg.Cache.Apply(ctx, found)
	// After Redis, whether or not it listened: a watcher who reads again must
	// not meet an older value there.
	if r.cfg.Offer != nil {
		r.cfg.Offer(found)
	}
	if err != nil {
		return err
	}
	r.applied.Add(int64(len(found)))
	if gone := missing(changes, behind, found, unreadable); len(gone) > 0 && r.cfg.Forget != nil {
		if err := r.cfg.Forget(ctx, epoch, gone); err != nil {
			return err
		}
	}
	r.unpark(behind, unreadable)
	return nil
}

// coalesce keeps the highest version of each product, in order of first mention.
func coalesce(changes []models.Change) []models.Change {
	at := make(map[string]int, len(changes))
	latest := make([]models.Change, 0, len(changes))
	for _, c := range changes {
		i, ok := at[c.ProductID]
		if !ok {
			at[c.ProductID] = len(latest)
			latest = append(latest, c)
		} else if c.Version > latest[i].Version {
			latest[i] = c
		}
	}
	return latest
}

// missing lists the changes of products that were read and not found.
func missing(changes []models.Change, read []string, found []*models.Stock, unreadable *UnreadableError) []models.Change {
	if len(read) == len(found) {
		return nil
	}
	gone := make(map[string]bool, len(read))
	for _, id := range read {
		gone[id] = true
	}
	for _, s := range found {
		delete(gone, s.ProductID)
	}
	if unreadable != nil {
		for id := range unreadable.Causes {
			delete(gone, id)
		}
	}
	var list []models.Change
	for _, c := range changes {
		if gone[c.ProductID] {
			list = append(list, c)
		}
	}
	return list
}

// report logs when rounds begin to fail and when they succeed again, and
// nothing in between: a poll four times a second would fill the log.
func (r *Relay) report(err error) {
	if err != nil {
		r.failures.Add(1)
	}
	if was := r.failing.Swap(err != nil); was == (err != nil) {
		return
	}
	if err != nil {
		r.compacted = time.Now()
		r.cfg.Logger.Warn("relay cannot carry changes; they wait in the outbox", "error", err)
	} else {
		r.cfg.Logger.Info("relay carries changes again")
	}
}

// compact keeps a waiting outbox as small as the number of products. Nothing
// is lost when it fails.
func (r *Relay) compact(ctx context.Context) {
	if time.Since(r.compacted) < r.compactEvery {
		return
	}
	r.compacted = time.Now()
	if err := r.cfg.Outbox.Compact(ctx); err != nil {
		r.cfg.Logger.Debug("compact outbox", "error", err)
	}
}

// listen keeps listening for notifications, for ever. Without it a change
// waits for the next poll, no more.
func (r *Relay) listen(ctx context.Context) {
	wait := backoff.Backoff{Min: listenRetryMin, Max: listenRetryMax}
	reported := false
	for ctx.Err() == nil {
		err := r.cfg.Outbox.Listen(ctx, func() {
			r.listening.Store(true)
			poke(r.wake)
		})
		if r.listening.Swap(false) {
			wait.Reset()
			reported = false
		}
		if errors.Is(err, ErrNoListen) || ctx.Err() != nil {
			return
		}
		if !reported {
			reported = true
			r.cfg.Logger.Warn("no notifications from the database; polling", "error", err)
		}
		if !pause(ctx, wait.Next()) {
			return
		}
	}
}
