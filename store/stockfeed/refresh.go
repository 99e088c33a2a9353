package stockfeed

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"onhand/store/backoff"
)

const (
	// refreshBatchMax is how many ids one read has, as many as a product page.
	refreshBatchMax = 250
	// refreshReadsMax bounds the concurrent reads. A reconnect must not take all
	// connections to the database.
	refreshReadsMax = 4
	// refreshDelay is how long a round waits for more ids. After a reconnect Redis
	// confirms thousands of channels one by one.
	refreshDelay = 5 * time.Millisecond
	// refreshTimeout bounds one read.
	refreshTimeout = 5 * time.Second
	// refreshRetryMin and refreshRetryMax bound the wait after a failed read.
	refreshRetryMin = 100 * time.Millisecond
	refreshRetryMax = 2 * time.Second
)

// refresher reads ids again whose values may have changed without a message.
// Rounds run one after the other. An id that is added several times during a
// round is read once in the next.
type refresher struct {
	kind   string                                        // for the log
	read   func(ctx context.Context, ids []string) error // reads and delivers
	logger *slog.Logger

	mu      sync.Mutex
	pending map[string]struct{}
	wake    chan struct{}

	reads atomic.Int64 // ids read
}

func newRefresher(kind string, logger *slog.Logger, read func(context.Context, []string) error) *refresher {
	return &refresher{
		kind: kind, read: read, logger: logger,
		pending: make(map[string]struct{}), wake: make(chan struct{}, 1),
	}
}

// add queues ids for the next round. It does not block.
func (r *refresher) add(ids ...string) {
	if len(ids) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range ids {
		r.pending[id] = struct{}{}
	}
	r.mu.Unlock()
	signal(r.wake)
}

// run reads round after round until ctx ends. It retries batches that failed,
// after a wait.
func (r *refresher) run(ctx context.Context) {
	wait := backoff.Backoff{Min: refreshRetryMin, Max: refreshRetryMax}
	failing := false
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, refreshDelay) {
			return
		}
		failed, err := r.round(ctx, r.takePending())
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			wait.Reset()
			failing = false
			continue
		}
		if !failing {
			failing = true
			r.logger.Warn("cannot refresh watched values", "kind", r.kind, "error", err)
		}
		if !sleep(ctx, wait.Next()) {
			return
		}
		r.add(failed...)
	}
}

// takePending empties the queue.
func (r *refresher) takePending() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.pending))
	for id := range r.pending {
		ids = append(ids, id)
	}
	clear(r.pending)
	return ids
}

// round reads ids in batches, refreshReadsMax at a time. It returns the ids of
// the batches that failed, and the first error.
func (r *refresher) round(ctx context.Context, ids []string) (failed []string, err error) {
	var group errgroup.Group
	group.SetLimit(refreshReadsMax)
	var mu sync.Mutex
	for batch := range slices.Chunk(ids, refreshBatchMax) {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, refreshTimeout)
			defer cancel()
			r.reads.Add(int64(len(batch)))
			err := r.read(ctx, batch)
			if err != nil {
				mu.Lock()
				failed = append(failed, batch...)
				mu.Unlock()
			}
			return err
		})
	}
	err = group.Wait()
	return failed, err
}
