package database

import (
	"context"
	"errors"
	"slices"
	"time"

	"onhand/models"
	"onhand/store/database/dialect"
	"onhand/store/database/optimistic"
	"onhand/tracing"
)

// BatchResult is what Commit made of the writes of a batch.
type BatchResult struct {
	// Outcome has a result for each write, in their order. One whose Fault is set
	// is not known to have happened.
	models.Outcome
	// Blocked is nil, or has for each write the rows it waits for, which another
	// transaction keeps locked. A write with such rows was not executed.
	Blocked [][]dialect.RowRef
	// Transactions are those that Commit sent, in their order.
	Transactions []SentTransaction
}

// SentTransaction is one transaction, or the failed attempt to send one.
type SentTransaction struct {
	Writes int
	Took   time.Duration
	Err    error // nil: it is committed
}

// Commit executes the writes of the batch in order and reports on each of them. It
// is called once; the batch takes no more writes.
//
// An optimistic batch takes one round trip. If the database refuses it, or fails,
// Commit decides the same writes under lock; but if there was no answer in time, they
// may have happened, and Commit reports that.
//
// Under lock, a write that fails its transaction fails alone: Commit finds it by
// bisection. A write that needs rows which another transaction keeps locked comes back
// in Blocked, and Commit goes on with the rest. Once the database is UNAVAILABLE, so is
// the rest of the batch.
func (b *Batch) Commit(ctx context.Context) BatchResult {
	var r BatchResult
	defer b.d.batches.endCommit(b)
	if b.optimistic == nil || !b.commitOptimistic(ctx, &r) {
		b.commitUnderLock(ctx, &r)
	}
	return r
}

// beginCommit ends the adding of writes.
func (b *Batch) beginCommit() {
	s := &b.d.batches
	s.mu.Lock()
	defer s.mu.Unlock()
	s.committing = b
	if s.open == b {
		s.open = nil
	}
	if b.optimistic != nil {
		b.optimistic.Close()
	}
}

// endCommit notes that a batch has ended.
func (s *batches) endCommit(b *Batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.committing == b {
		s.committing = nil
	}
}

// commitOptimistic sends an optimistic batch. It reports false when the writes are to
// be decided under lock.
func (b *Batch) commitOptimistic(ctx context.Context, r *BatchResult) bool {
	out, err := r.noteTransaction(ctx, "optimistic transaction", len(b.writes), func(ctx context.Context) (models.Outcome, error) {
		b.beginCommit()
		return b.optimistic.Commit(ctx)
	})
	if b.countEnd(err); err == nil {
		r.Outcome = out
		return true
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	r.Results = make([]models.WriteResult, len(b.writes))
	for i := range r.Results {
		r.Results[i].Fault = err
	}
	return true
}

// countEnd counts how an optimistic batch has ended. If it was not committed, neither
// its writes nor those decided on top of them are as the snapshot cache has them.
func (b *Batch) countEnd(err error) {
	s := &b.d.batches
	s.mu.Lock()
	defer s.mu.Unlock()
	var panicked *panicError
	switch {
	case err == nil:
		s.ends.Committed++
		return
	case errors.Is(err, optimistic.ErrRefused):
		s.ends.Refused++
	case errors.As(err, &panicked): // the writes are decided under lock, so no caller gets this error
		b.d.logPanic("an optimistic batch panicked; its writes are decided under lock", panicked)
		fallthrough
	default:
		s.ends.Failed++
	}
	b.optimistic.Discard()
	b.optimistic = nil
	if s.open != nil {
		s.open.undecide()
	}
}

// commitUnderLock decides and commits the writes, in several transactions if it must.
func (b *Batch) commitUnderLock(ctx context.Context, r *BatchResult) {
	b.beginCommit()
	r.Results = make([]models.WriteResult, len(b.writes))
	positions := make([]int, len(b.writes))
	for i := range positions {
		positions[i] = i
	}
	for todo := slices.Collect(slices.Chunk(positions, batchWritesMax)); len(todo) > 0; {
		part := todo[0]
		todo = todo[1:]
		out, err := r.noteTransaction(ctx, "transaction under lock", len(part), func(ctx context.Context) (models.Outcome, error) {
			return b.d.WriteUnderLock(ctx, b.at(part))
		})
		var blocked *BlockedError
		switch {
		case err == nil:
			r.merge(part, out)
		case errors.As(err, &blocked):
			if rest := r.block(part, blocked.Rows); len(rest) > 0 {
				todo = slices.Insert(todo, 0, rest)
			}
		case models.CodeOf(err) == models.CodeUnavailable: // trying the rest would only take time
			r.fail(slices.Concat(part, slices.Concat(todo...)), err)
			return
		case len(part) > 1: // it is too large, or one of its writes fails it
			half := len(part) / 2
			todo = slices.Insert(todo, 0, part[:half], part[half:])
		default:
			r.fail(part, err)
		}
	}
}

// at returns the writes at these positions.
func (b *Batch) at(positions []int) []models.Write {
	writes := make([]models.Write, len(positions))
	for i, position := range positions {
		writes[i] = b.writes[position].Write
	}
	return writes
}

// noteTransaction runs one transaction and notes it. A panic is its error.
func (r *BatchResult) noteTransaction(ctx context.Context, name string, writes int, transaction func(context.Context) (models.Outcome, error)) (out models.Outcome, err error) {
	ctx, span := tracing.Start(ctx, name)
	span.Int("onhand.writes", writes)
	began := time.Now()
	defer func() {
		if value := recover(); value != nil {
			err = recovered(value).fault()
		}
		if err != nil {
			span.Fail("not committed")
		}
		span.End()
		r.Transactions = append(r.Transactions, SentTransaction{writes, time.Since(began), err})
	}()
	return transaction(ctx)
}

// merge takes over the outcome of a later transaction, which executed the writes at
// these positions. The newest stock of a product wins.
func (r *BatchResult) merge(positions []int, later models.Outcome) {
	for i, position := range positions {
		r.Results[position] = later.Results[i]
	}
	r.Stocks = models.NewestStocks(r.Stocks, later.Stocks)
	r.Reservations = append(r.Reservations, later.Reservations...)
}

// block notes the rows that writes at these positions wait for, and returns the
// positions of those that wait for none.
func (r *BatchResult) block(positions []int, rows [][]dialect.RowRef) (rest []int) {
	if r.Blocked == nil {
		r.Blocked = make([][]dialect.RowRef, len(r.Results))
	}
	for i, position := range positions {
		if r.Blocked[position] = rows[i]; len(rows[i]) == 0 {
			rest = append(rest, position)
		}
	}
	return rest
}

// fail answers the writes at these positions with a fault.
func (r *BatchResult) fail(positions []int, fault error) {
	for _, position := range positions {
		r.Results[position].Fault = fault
	}
}
