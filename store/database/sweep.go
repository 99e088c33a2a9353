package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/dialect"
)

// Bounds of a sweep.
const (
	// overdueMax and overdueLinesMax bound how many holds past their time are
	// looked at together, and how many lines they have: the more, the more of
	// them have a product in common.
	overdueMax      = 50_000
	overdueLinesMax = 100_000
	// sweepHoldsMax is how many holds one transaction gives back. Buyers of the same
	// products may have to await its end: more holds would be back a little sooner,
	// and leave those waiting longer. Their lines are bounded by reapLinesMax.
	sweepReservationsMax = 300
	// sweepFlights is how many of these transactions run side by side, where the
	// database takes more than one. More of them free sooner and leave buyers
	// less.
	sweepConcurrency = 3
)

// ExpireDue ends active holds whose time is over, the oldest first, at most
// limit. It takes as many transactions as fit the bounds, and yields what each
// of them came to after its commit. Holds of the same products are given back
// together: what a product costs (its level, its version, telling Redis), it
// costs once.
//
// It passes over what somebody else is working on, and over holds of products
// that somebody keeps locked.
//
// Errors: UNAVAILABLE when the database does not answer in time, which ends the
// sweep. A hold that cannot be ended is left, with an error of its own.
func (d *Database) ExpireDue(ctx context.Context, limit int) iter.Seq2[models.Outcome, error] {
	return func(yield func(models.Outcome, error) bool) {
		s := sweep{Database: d}
		for left := limit; left > 0; {
			holds, err := d.readOverdue(ctx, min(left, d.bounds.overdue), s.without)
			if err != nil {
				yield(models.Outcome{}, err)
				return
			}
			if !s.run(ctx, d.groupByProduct(holds), yield) {
				return
			}
			left -= len(holds)
		}
	}
}

func (d *Database) readOverdue(ctx context.Context, limit int, without []string) (holds []dialect.OverdueReservation, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	err = d.retry(ctx, func() error {
		holds, err = d.engine.Overdue(ctx, limit, overdueLinesMax, without)
		return err
	})
	return holds, d.Fault(err)
}

// retry tries again what another attempt may survive, within attemptsMax.
func (d *Database) retry(ctx context.Context, try func() error) error {
	pause := retryPause
	for attempt := 1; ; attempt++ {
		err := try()
		if !errors.Is(err, dialect.ErrRetry) || attempt == attemptsMax {
			return err
		}
		if pause = pauseBetween(ctx, pause); ctx.Err() != nil {
			return err
		}
	}
}

// together makes the batches: holds stand with others that hold the same
// product, under that which most of them hold. Each sweep begins somewhere
// else, so that those of several copies do not run after each other.
func (d *Database) groupByProduct(holds []dialect.OverdueReservation) (batches [][]dialect.OverdueReservation) {
	count := map[string]int{}
	for _, h := range holds {
		for _, id := range h.Products {
			count[id]++
		}
	}
	for i, h := range holds {
		for _, id := range h.Products {
			if n := count[id] - count[h.GroupedBy]; n > 0 || n == 0 && id < h.GroupedBy {
				h.GroupedBy = id
			}
		}
		holds[i] = h
	}
	slices.SortStableFunc(holds, func(a, b dialect.OverdueReservation) int { return cmp.Compare(a.GroupedBy, b.GroupedBy) })
	first, lines := 0, 0
	for i, h := range holds {
		if i > first && (i-first >= sweepReservationsMax || lines+len(h.Products) > d.bounds.expireLines) {
			batches, first, lines = append(batches, holds[first:i:i]), i, 0
		}
		lines += len(h.Products)
	}
	if first == len(holds) {
		return batches
	}
	batches = append(batches, holds[first:])
	start := rand.N(len(batches))
	return slices.Concat(batches[start:], batches[:start])
}

// sweep is one call of ExpireDue.
type sweep struct {
	*Database
	without []string // products that somebody keeps locked
}

// ended is what became of one batch.
type sweepResult struct {
	out    models.Outcome
	locked []string // products that were passed over
	err    error
}

// run ends the holds of the batches, several side by side, and yields what
// came of them. It tells whether to go on: somebody listens, nothing failed,
// and the next look will not find the same.
func (s *sweep) run(ctx context.Context, batches [][]dialect.OverdueReservation, yield func(models.Outcome, error) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	flights := sweepConcurrency
	if s.Fragments.OneWriter {
		flights = 1
	}
	todo, done := make(chan []dialect.OverdueReservation, len(batches)), make(chan sweepResult)
	// Neighbours may have a product in common: what runs side by side is far apart.
	for i, apart := 0, (len(batches)+flights-1)/flights; i < apart; i++ {
		for next := i; next < len(batches); next += apart {
			todo <- batches[next]
		}
	}
	close(todo)
	for range flights {
		workers.Go(func() {
			for batch := range todo {
				s.end(ctx, batch, done)
			}
		})
	}
	go func() { workers.Wait(); close(done) }()
	some, failed := false, false
	for e := range done {
		s.without = append(s.without, e.locked...)
		some, failed = some || e.err == nil, failed || e.err != nil
		if len(e.out.Reservations) == 0 && e.err == nil {
			continue
		}
		if !yield(e.out, e.err) || models.CodeOf(e.err) == models.CodeUnavailable {
			return false
		}
	}
	return some && !failed && ctx.Err() == nil
}

// end ends the holds of a batch. One that cannot be ended does not keep the
// others: it is found by halving. Those of products that are locked come last,
// unless it is one transaction that keeps them: a product in demand has its turn.
func (s *sweep) end(ctx context.Context, batch []dialect.OverdueReservation, done chan<- sweepResult) {
	again := 0
	for todo := [][]dialect.OverdueReservation{batch}; len(todo) > 0 && ctx.Err() == nil; {
		batch, todo = todo[0], todo[1:]
		out, locks, err := s.expire(ctx, batch)
		if err != nil && models.CodeOf(err) != models.CodeUnavailable && len(batch) > 1 {
			half := len(batch) / 2
			todo = slices.Insert(todo, 0, batch[:half], batch[half:])
			continue
		}
		if errors.Is(err, decide.ErrLinesChanged) {
			continue // the next look finds it as it is
		}
		e := sweepResult{out: out, err: err}
		if len(locks) > 0 && err == nil {
			var later []dialect.OverdueReservation
			if later, e.locked, e.err = s.locked(ctx, batch, locks); len(later) > 0 && again < attemptsMax {
				again++
				todo = append(todo, later)
			}
		}
		if len(e.out.Reservations)+len(e.locked) == 0 && e.err == nil {
			continue // somebody else's, by now
		}
		select {
		case done <- e:
		case <-ctx.Done():
		}
	}
}

// locked looks again at what was locked: it gives the holds that can be tried
// again, and the products that one transaction keeps locked.
func (s *sweep) locked(ctx context.Context, batch []dialect.OverdueReservation, locks models.Locks) (later []dialect.OverdueReservation, kept []string, err error) {
	now, err := s.engine.Locked(ctx, decide.SortedKeys(locks.Products()), nil)
	if err != nil {
		return nil, nil, s.Fault(err)
	}
	keeps := now.HeldSince(locks).Products()
	for _, h := range batch {
		if h.HoldsAny(locks.Products()) && !h.HoldsAny(keeps) {
			later = append(later, h)
		}
	}
	return later, slices.Collect(maps.Keys(keeps)), nil
}

// expire ends a batch of holds in one transaction. It leaves out those of
// products that are locked for long, and gives these locks.
func (d *Database) expire(ctx context.Context, holds []dialect.OverdueReservation) (out models.Outcome, locks models.Locks, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.bounds.write)
	defer cancel()
	locks = models.Locks{}
	err = d.retry(ctx, func() error {
		out, err = d.attemptExpire(ctx, holds)
		if !errors.Is(err, dialect.ErrLocked) || ctx.Err() != nil {
			return err
		}
		found, probeErr := d.engine.Locked(ctx, productsOf(holds), nil)
		if probeErr != nil {
			return probeErr
		}
		maps.Copy(locks, found)
		products := found.Products()
		holds = slices.DeleteFunc(slices.Clone(holds), func(h dialect.OverdueReservation) bool { return h.HoldsAny(products) })
		return fmt.Errorf("%w: %w", dialect.ErrRetry, err)
	})
	return out, locks, d.Fault(err)
}

func (d *Database) attemptExpire(ctx context.Context, holds []dialect.OverdueReservation) (models.Outcome, error) {
	if len(holds) == 0 {
		return models.Outcome{}, nil
	}
	tx, err := d.engine.Begin(ctx, d.bounds.lockWait)
	if err != nil {
		return models.Outcome{}, err
	}
	defer tx.Rollback()
	keys := make([][16]byte, len(holds))
	for i, h := range holds {
		keys[i] = h.Key
	}
	products := productsOf(holds)
	d.executor.ExpectContention(products) // before they are locked: plans made meanwhile count on it
	v, err := tx.Expire(ctx, keys, products)
	if err != nil || len(v.Reservations) == 0 {
		return models.Outcome{}, err
	}
	d.notice(v.Epoch)
	for _, s := range v.Reservations {
		if s.ExpiresAt.After(v.Now) { // the clock went back meanwhile: by what it says now, this hold has time again
			return models.Outcome{}, dialect.ErrRetry
		}
	}
	out := models.Outcome{Reservations: make([]*models.Reservation, 0, len(v.Reservations))}
	draft := v.ChangeSet()
	for _, key := range keys {
		if s := v.Reservations[key]; s != nil {
			if err := draft.Expire(s, products); err != nil {
				return models.Outcome{}, err
			}
			at := s.At(v.Now)
			out.Reservations = append(out.Reservations, &at)
		}
	}
	if out.Stocks, err = tx.Save(ctx, v); err != nil {
		return models.Outcome{}, err
	}
	d.executor.Learn(v)
	return out, nil
}

// productsOf lists the products of holds, each once, in order.
func productsOf(holds []dialect.OverdueReservation) (products []string) {
	for _, h := range holds {
		products = append(products, h.Products...)
	}
	slices.Sort(products)
	return slices.Compact(products)
}
