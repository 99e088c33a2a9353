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
	// pollIntervalDefault is how late a change is published that no notification
	// announced: one of an instance that died between its commit and Redis.
	pollIntervalDefault = 250 * time.Millisecond
	// batchSizeDefault is how many outbox rows one transaction drains.
	batchSizeDefault = 500
	// retryMin and retryMax bound the wait after a failure.
	retryMin = 100 * time.Millisecond
	retryMax = 2 * time.Second
	// compactInterval is how often, at most, an outbox that cannot be drained is
	// compacted.
	compactInterval = 10 * time.Second
	// listenRetryMin and listenRetryMax bound the wait before listening again.
	// Polling continues meanwhile.
	listenRetryMin = 200 * time.Millisecond
	listenRetryMax = 10 * time.Second
)

// Outbox is the part of the database that the relay uses.
type Outbox interface {
	// Drain locks up to limit rows that no other instance has locked and calls
	// publish. If that returns nil it deletes the rows and returns how many there
	// were. Otherwise, or if this instance dies, they are drained again.
	Drain(ctx context.Context, limit int, publish func(ctx context.Context, changes []models.Change) error) (drained int, err error)
	// DrainAnnounced is Drain after a notification. publish also gets the stock of the
	// products, as of the changes or later, where these are few and could be read with the
	// rows.
	DrainAnnounced(ctx context.Context, limit int, publish func(ctx context.Context, changes []models.Change, stocks []*models.Stock) error) (drained int, err error)
	// Listen calls wake once it listens, and then for every notification. It
	// returns when the connection is lost or ctx ends, or models.ErrNoNotifications at once.
	Listen(ctx context.Context, wake func()) error
	// Compact deletes rows that have a later row of the same product.
	Compact(ctx context.Context) error
}

// RelayCache is the part of the cache that the relay uses.
type RelayCache interface {
	// Unpublished returns the products for which Redis does not show that the
	// change or a later one was published in that epoch.
	Unpublished(ctx context.Context, changes []models.Change, epoch string) ([]string, error)
	// Apply writes and publishes stocks, unless Redis has newer ones.
	Apply(ctx context.Context, stocks []*models.Stock) error
	// ApplyDeletions caches that these products do not exist any more.
	ApplyDeletions(ctx context.Context, epoch string, deletions []models.Change) error
	// Invalidate removes products, so that they are read from the database.
	Invalidate(ctx context.Context, ids []string) error
}

// Deliverer delivers stocks to the watches of this instance. It must not block.
type Deliverer interface {
	Deliver(stocks []*models.Stock)
}

// RelayConfig configures a Relay. Zero bounds mean defaults.
type RelayConfig struct {
	Outbox Outbox
	Cache  RelayCache
	Stocks StockReader // must read the database, not the cache
	Epochs EpochSource
	Hub    Deliverer
	// PollInterval is how often the outbox is drained without a notification, give
	// or take a tenth.
	PollInterval time.Duration
	// BatchSize is how many rows one transaction drains.
	BatchSize int
	Logger    *slog.Logger
}

// Relay publishes the changes in the outbox to Redis. Every instance runs one.
type Relay struct {
	service
	cfg         RelayConfig
	wake        chan struct{} // signalled by a notification
	retryNow    chan struct{} // signalled by RetryNow
	compactedAt time.Time     // or when draining began to fail
	poison      poisonProducts
	announced   bool // a notification started this drain

	drained, published, failures atomic.Int64
	listening, polling, failing  atomic.Bool
}

// NewRelay makes a relay.
func NewRelay(cfg RelayConfig) *Relay {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.BatchSize <= 0 {
		cfg.BatchSize = batchSizeDefault
	}
	setDefault(&cfg.PollInterval, pollIntervalDefault)
	return &Relay{
		service: newService(), cfg: cfg, wake: make(chan struct{}, 1), retryNow: make(chan struct{}, 1),
		poison: poisonProducts{byID: make(map[string]*poisonProduct)},
	}
}

// Start drains the outbox until Stop is called or ctx ends.
func (r *Relay) Start(ctx context.Context) error { return r.start(ctx, r.run) }

// Stop stops the relay and waits for it. Rows of a batch that it interrupts are
// drained again.
func (r *Relay) Stop() { r.stop() }

// RelayStats are the relay's numbers, for metrics.
type RelayStats struct {
	// Drained counts the rows that were deleted from the outbox, Published the products
	// that were applied to Redis, Failures the failed attempts to drain.
	Drained, Published, Failures int64
	// Listening reports whether notifications arrive. Polling reports that they do not,
	// because the last attempt to listen failed. Neither holds before the first attempt
	// ends. Failing reports whether the last attempt to drain failed.
	Listening, Polling, Failing bool
	// PoisonProducts counts the changed products that have poison rows.
	PoisonProducts int64
}

// Stats returns the relay's numbers.
func (r *Relay) Stats() RelayStats {
	return RelayStats{
		Drained: r.drained.Load(), Published: r.published.Load(), Failures: r.failures.Load(),
		Listening: r.listening.Load(), Polling: r.polling.Load(), Failing: r.failing.Load(), PoisonProducts: r.poison.count.Load(),
	}
}

// RetryNow ends the wait after a failure, for example because Redis is back. It
// does not block.
func (r *Relay) RetryNow() { signal(r.retryNow) }

func (r *Relay) run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { r.listen(ctx) })
	wait := backoff.Backoff{Min: retryMin, Max: retryMax}
	for ctx.Err() == nil {
		err := r.drain(ctx)
		if ctx.Err() != nil {
			return
		}
		r.report(err)
		if err != nil {
			r.compact(ctx)
			// A notification does not end this wait.
			await(ctx, r.retryNow, wait.Next())
			r.announced = false
			continue
		}
		wait.Reset()
		r.announced = await(ctx, r.wake, backoff.Jitter(r.cfg.PollInterval))
	}
}

// await waits for a signal, but at most for d or until ctx ends. It reports whether the
// signal came.
func await(ctx context.Context, wake <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-wake:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// drain drains batch after batch until one is not full. Then it retries products
// with poison rows.
func (r *Relay) drain(ctx context.Context) error {
	for {
		drained, err := r.drainOnce(ctx)
		if err != nil {
			return err
		}
		r.drained.Add(int64(drained))
		if drained < r.cfg.BatchSize {
			return r.retryPoison(ctx)
		}
	}
}

func (r *Relay) drainOnce(ctx context.Context) (int, error) {
	if r.announced {
		return r.cfg.Outbox.DrainAnnounced(ctx, r.cfg.BatchSize, r.publishAnnounced)
	}
	return r.cfg.Outbox.Drain(ctx, r.cfg.BatchSize, r.publishBatch)
}

// report logs when draining begins to fail and when it succeeds again. Between
// the two it logs nothing, because the relay polls four times a second.
func (r *Relay) report(err error) {
	if err != nil {
		r.failures.Add(1)
	}
	if was := r.failing.Swap(err != nil); was == (err != nil) {
		return
	}
	if err != nil {
		r.compactedAt = time.Now()
		r.cfg.Logger.Warn("cannot drain the outbox; changes wait in it", "error", err)
	} else {
		r.cfg.Logger.Info("outbox is drained again")
	}
}

// compact bounds an outbox that cannot be drained by the number of products.
// Its failure loses nothing.
func (r *Relay) compact(ctx context.Context) {
	if time.Since(r.compactedAt) < compactInterval {
		return
	}
	r.compactedAt = time.Now()
	if err := r.cfg.Outbox.Compact(ctx); err != nil {
		r.cfg.Logger.Debug("compact outbox", "error", err)
	}
}

// listen listens for notifications until ctx ends, and reconnects. Without
// notifications a change waits for the next poll.
func (r *Relay) listen(ctx context.Context) {
	wait := backoff.Backoff{Min: listenRetryMin, Max: listenRetryMax}
	reported := false
	for ctx.Err() == nil {
		err := r.cfg.Outbox.Listen(ctx, func() {
			r.listening.Store(true)
			r.polling.Store(false)
			signal(r.wake)
		})
		if r.listening.Swap(false) {
			wait.Reset()
			reported = false
		}
		if errors.Is(err, models.ErrNoNotifications) || ctx.Err() != nil {
			return
		}
		r.polling.Store(true)
		if !reported {
			reported = true
			r.cfg.Logger.Warn("no notifications from the database; polling", "error", err)
		}
		if !sleep(ctx, wait.Next()) {
			return
		}
	}
}
