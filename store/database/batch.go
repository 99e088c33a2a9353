package database

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
	"onhand/store/database/optimistic"
)

// Bounds of one batch.
const (
	// batchWritesMax and batchLevelsMax bound a transaction that decides under
	// lock: its writes, and the levels that they may touch together. More would
	// keep rows locked for longer than other instances and the sweeper wait.
	batchWritesMax = 512
	batchLevelsMax = 4000
	// optimisticWritesMax bounds an optimistic batch. It locks rows for one round
	// trip only, so it may have more writes.
	optimisticWritesMax = 2048
)

// PreparedWrite is a write with what can be computed before its turn.
type PreparedWrite struct {
	Write models.Write

	levels     int                             // that it may touch
	optimistic *optimistic.PreparedReservation // nil: the write is decided under lock
	looked     bool                            // MissingOnce has looked at it
}

// Prepare computes what a write needs that depends on no stock and no lock. It may
// be called at any time and from any goroutine.
func (d *Database) Prepare(w models.Write) *PreparedWrite {
	return &PreparedWrite{Write: w, levels: levelsOf(w), optimistic: d.executor.Prepare(w)}
}

// Rows returns the rows that a write names. The products of a reservation are not
// among them: only the database knows those.
func (w *PreparedWrite) Rows() []dialect.RowRef { return rowsOf(w.Write) }

// levelsOf returns how many levels a write may touch.
func levelsOf(w models.Write) int {
	switch w := w.(type) {
	case models.Reserve:
		return len(w.Lines)
	case models.UpdateReservation:
		return 2 * len(w.Lines)
	case models.MoveStock:
		return 2 * len(w.Rows)
	case models.Bulk:
		return w.Size()
	}
	return 1
}

// Batch collects writes and then commits them.
//
// As long as it can, it decides each write when it is added, on the snapshot cache:
// it is an optimistic batch. Otherwise Commit decides its writes, under lock.
//
// One batch at a time is open, and one is committing. Add, Discard and
// [Database.MissingOnce] are called one at a time; Commit may run beside those of the
// next batch.
type Batch struct {
	d          *Database
	writes     []*PreparedWrite
	levels     int
	optimistic *optimistic.ReservationBatch // nil: the writes are decided under lock
}

// batches has the batches of a database that are not done.
type batches struct {
	mu         sync.Mutex
	open       *Batch // takes writes
	committing *Batch
	ends       OptimisticBatches
}

// OptimisticBatches counts optimistic batches by how they ended.
type OptimisticBatches struct {
	Committed int64
	// Refused batches met a product that had changed, or a key that was used before.
	Refused int64
	// Failed batches met any other error.
	Failed int64
	// Discarded batches were never sent.
	Discarded int64
}

// OptimisticBatches returns how optimistic batches have ended so far.
func (d *Database) OptimisticBatches() OptimisticBatches {
	d.batches.mu.Lock()
	defer d.batches.mu.Unlock()
	return d.batches.ends
}

// Begin returns an empty batch. It takes writes once Commit or Discard of the batch
// before it was called.
func (d *Database) Begin() *Batch { return &Batch{d: d} }

// Add takes one more write, or reports false: the batch is full, the write cannot
// be in one batch with those that are there, or it cannot be decided before the
// batch that is committing has ended.
func (b *Batch) Add(w *PreparedWrite) bool {
	s := &b.d.batches
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open != nil && s.open != b || !b.decide(w) && !b.collect(w) {
		return false
	}
	s.open = b
	b.writes = append(b.writes, w)
	b.levels += w.levels
	return true
}

// decide decides a write on the snapshot cache, if it can. Callers hold batches.mu.
func (b *Batch) decide(w *PreparedWrite) (added bool) {
	committing := b.d.batches.committing
	switch {
	case w.optimistic == nil || b.optimistic == nil && len(b.writes) > 0:
		return false
	case committing != nil && committing.optimistic == nil: // it is about to change what the snapshot cache has
		return false
	case len(b.writes) >= optimisticWritesMax || len(b.writes) > 0 && b.levels+w.levels > batchLevelsMax:
		return false
	}
	batch := b.optimistic
	if batch == nil {
		batch = b.d.executor.Begin()
	}
	defer func() {
		if value := recover(); value != nil { // the batch may have been changed in part
			b.d.logPanic("an optimistic batch panicked; its writes are decided under lock", recovered(value))
			added, w.optimistic, b.optimistic = false, nil, batch
			b.undecide()
		}
	}()
	if !batch.Add(w.optimistic) {
		return false
	}
	b.optimistic = batch
	return true
}

// collect takes a write to be decided under lock, if it can. Callers hold batches.mu.
func (b *Batch) collect(w *PreparedWrite) bool {
	if b.optimistic != nil || b.d.batches.committing != nil {
		return false
	}
	if len(b.writes) == 0 {
		return w.looked || len(b.d.missing(w)) == 0
	}
	return !decide.ChangesSettings(w.Write) && !decide.ChangesSettings(b.writes[0].Write) && len(b.writes) < batchWritesMax && b.levels+w.levels <= batchLevelsMax
}

// undecide makes an optimistic batch one that is decided under lock, because the batch
// before it failed or because its caller discards it. The products that it was decided
// on become stale in the snapshot cache. Callers hold batches.mu.
func (b *Batch) undecide() {
	if b.optimistic != nil {
		b.optimistic.Discard()
		b.optimistic = nil
		b.d.batches.ends.Discarded++
	}
}

// Discard gives up a batch that was not committed. Its writes may be added to
// another one.
func (b *Batch) Discard() {
	s := &b.d.batches
	s.mu.Lock()
	defer s.mu.Unlock()
	b.undecide()
	b.writes = nil
	if s.open == b {
		s.open = nil
	}
}

// MissingOnce returns the products of a waiting write that the snapshot cache lacks, the
// first time it is called for the write, and nothing after that. Once Fetch has read
// them the write may be decided optimistically; it is decided under lock if not.
func (d *Database) MissingOnce(w *PreparedWrite) []string {
	if w.looked {
		return nil
	}
	w.looked = true
	return d.missing(w)
}

func (d *Database) missing(w *PreparedWrite) []string {
	return d.executor.Missing(w.optimistic)
}

// Fetch reads products into the snapshot cache. Products that do not exist stay
// missing. It locks nothing.
func (d *Database) Fetch(ctx context.Context, productIDs []string) (err error) {
	defer func() {
		if value := recover(); value != nil {
			panicked := recovered(value)
			d.logPanic("reading products into the snapshot cache panicked", panicked)
			err = panicked.fault()
		}
	}()
	return d.executor.Fetch(ctx, productIDs)
}

// panicError is a panic that the process outlived.
type panicError struct {
	value any
	stack []byte
}

// Error implements error.
func (p *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", p.value, p.stack) }

// recovered wraps what recover returned. The deferred function calls it.
func recovered(value any) *panicError { return &panicError{value, debug.Stack()} }

// fault is what the panic is to callers.
func (p *panicError) fault() error {
	return &models.Fault{Code: models.CodeInternal, Message: "internal error", Cause: p}
}

// logPanic logs a panic that no caller is answered with.
func (d *Database) logPanic(message string, p *panicError) {
	d.Log.Error(message, "panic", p.value, "stack", string(p.stack))
}

// preloadPage is how many products Preload reads at once.
const preloadPage = 1000

// Preload reads products in the order of their ids into the snapshot cache until it
// is full: an instance that starts in the middle of a rush decides optimistically
// from the first reservation on.
func (d *Database) Preload(ctx context.Context) error {
	if d.executor == nil {
		return nil
	}
	if err := d.executor.LoadUncounted(ctx); err != nil {
		return err
	}
	after := ""
	for left := optimistic.CachedProductsMax; left > 0; {
		ids, err := d.ProductIDs(ctx, after, min(left, preloadPage))
		if err != nil || len(ids) == 0 {
			return err
		}
		after, left = ids[len(ids)-1], left-len(ids)
		if err := d.Fetch(ctx, ids); err != nil {
			return err
		}
	}
	return nil
}
