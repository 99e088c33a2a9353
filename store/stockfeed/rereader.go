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
	// rereadBatch is how many ids one read names; the database reads as many for
	// one product page.
	rereadBatch = 250
	// rereadsAtOnce bounds the reads under way: a reconnect must not take the
	// database's connections away from the shoppers.
	rereadsAtOnce = 4
	// gatherFor is how long a round waits for more: a reconnect confirms thousands
	// of channels one after the other, and a page wakes many reservations.
	gatherFor = 5 * time.Millisecond
	// rereadTimeout bounds one read.
	rereadTimeout = 5 * time.Second
	// rereadRetryMin and rereadRetryMax bound the wait after a failed read.
	rereadRetryMin = 100 * time.Millisecond
	rereadRetryMax = 2 * time.Second
)

// rereader reads ids again that may have changed unseen. However often an id
// is added while a round is running, the next round reads it once: at most one
// round runs and one waits.
type rereader struct {
	what   string
	read   func(ctx context.Context, ids []string) error // delivers what it finds
	logger *slog.Logger

	mu    sync.Mutex
	stale map[string]struct{}
	wake  chan struct{}

	reads atomic.Int64 // ids read
}

func newRereader(what string, logger *slog.Logger, read func(context.Context, []string) error) *rereader {
	return &rereader{
		what: what, read: read, logger: logger,
		stale: make(map[string]struct{}), wake: make(chan struct{}, 1),
	}
}

// add notes ids for the next round. It does not block.
func (r *rereader) add(ids ...string) {
	if len(ids) == 0 {
		return
	}
	r.mu.Lock()
	for _, id := range ids {
		r.stale[id] = struct{}{}
	}
	r.mu.Unlock()
	poke(r.wake)
}

// run reads round after round until ctx ends. What could not be read is read
// again, after a wait.
func (r *rereader) run(ctx context.Context) {
	wait := backoff.Backoff{Min: rereadRetryMin, Max: rereadRetryMax}
	failing := false
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		if !pause(ctx, gatherFor) {
			return
		}
		failed, err := r.round(ctx, r.takeAll())
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
			r.logger.Warn("cannot read what is watched", "what", r.what, "error", err)
		}
		if !pause(ctx, wait.Next()) {
			return
		}
		r.add(failed...)
	}
}

func (r *rereader) takeAll() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids := make([]string, 0, len(r.stale))
	for id := range r.stale {
		ids = append(ids, id)
	}
	clear(r.stale)
	return ids
}

// round reads ids in batches, a few at a time, and returns those of the
// batches that failed, with the first error.
func (r *rereader) round(ctx context.Context, ids []string) (failed []string, err error) {
	var group errgroup.Group
	group.SetLimit(rereadsAtOnce)
	var mu sync.Mutex
	for batch := range slices.Chunk(ids, rereadBatch) {
		group.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, rereadTimeout)
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
