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
	// overdueMax and overdueLinesMax bound how many overdue reservations are listed
	// together, and how many lines they have. The more, the more of them have a product
	// in common.
	overdueMax      = 50_000
	overdueLinesMax = 100_000
	// sweepReservationsMax is how many reservations one transaction ends; expireLinesMax
	// bounds their lines. Buyers of the same products wait for that transaction: a larger
	// one frees stock a little sooner and makes buyers wait longer.
	sweepReservationsMax = 300
	// sweepConcurrency is how many of these transactions run side by side, where the
	// engine has several writers. More free stock sooner and leave less to buyers.
	sweepConcurrency = 3
)

// overdue is a reservation past its expiry with the product it is grouped by.
type overdue struct {
	dialect.OverdueReservation
	product string
}

// ExpireDue ends active reservations past their expiry, the oldest first, at most
// limit. It uses as many transactions as fit the bounds, and yields the outcome of each
// after its commit. Reservations of one product end together, so that the product's
// level, version and publication are written once for all of them.
//
// It skips reservations that another transaction has locked, and reservations of products
// that another transaction keeps locked.
//
// Errors: UNAVAILABLE when the database does not answer in time, which ends the sweep.
// A reservation that cannot be ended is left, with an error of its own.
func (d *Database) ExpireDue(ctx context.Context, limit int) iter.Seq2[models.Outcome, error] {
	return func(yield func(models.Outcome, error) bool) {
		s := sweep{Database: d}
		for left := limit; left > 0; {
			found, err := d.readOverdue(ctx, min(left, d.bounds.overdue), s.without)
			if err != nil {
				yield(models.Outcome{}, err)
				return
			}
			if !s.run(ctx, d.groupByProduct(found), yield) {
				return
			}
			left -= len(found)
		}
	}
}

func (d *Database) readOverdue(ctx context.Context, limit int, without []string) (found []overdue, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialect.ReadTimeout)
	defer cancel()
	err = d.retry(ctx, func() error {
		list, err := d.engine.Overdue(ctx, limit, overdueLinesMax, without)
		found = make([]overdue, len(list))
		for i, r := range list {
			found[i].OverdueReservation = r
		}
		return err
	})
	return found, d.Fault(err)
}

// retry repeats what another attempt may survive, at most attemptsMax times.
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

// groupByProduct makes the batches of a sweep. It groups each reservation by one of its
// products: the one that most of the listed reservations have. The batches begin at a
// random one, so that instances that sweep at the same time work on different products.
func (d *Database) groupByProduct(list []overdue) (batches [][]overdue) {
	count := map[string]int{}
	for _, r := range list {
		for _, id := range r.Products {
			count[id]++
		}
	}
	for i := range list {
		r := &list[i]
		for _, id := range r.Products {
			if n := count[id] - count[r.product]; n > 0 || n == 0 && id < r.product {
				r.product = id
			}
		}
	}
	slices.SortStableFunc(list, func(a, b overdue) int { return cmp.Compare(a.product, b.product) })
	first, lines := 0, 0
	for i, r := range list {
		if i > first && (i-first >= sweepReservationsMax || lines+len(r.Products) > d.bounds.expireLines) {
			batches, first, lines = append(batches, list[first:i:i]), i, 0
		}
		lines += len(r.Products)
	}
	if first == len(list) {
		return batches
	}
	batches = append(batches, list[first:])
	start := rand.N(len(batches))
	return slices.Concat(batches[start:], batches[:start])
}

// sweep is one call of ExpireDue.
type sweep struct {
	*Database
	without []string // products that another transaction keeps locked
}

// sweepResult is the result of one transaction of a sweep.
type sweepResult struct {
	out    models.Outcome
	locked []string // products that were passed over
	err    error
}

// run ends the reservations of the batches, several batches side by side, and yields
// the outcomes. It reports whether to go on: the caller wants more, nothing failed, and
// the next list will not be the same.
func (s *sweep) run(ctx context.Context, batches [][]overdue, yield func(models.Outcome, error) bool) bool {
	ctx, cancel := context.WithCancel(ctx)
	var workers sync.WaitGroup
	defer workers.Wait()
	defer cancel()
	done := s.start(ctx, &workers, batches)
	some, failed := false, false
	for r := range done {
		s.without = append(s.without, r.locked...)
		some, failed = some || r.err == nil, failed || r.err != nil
		if len(r.out.Reservations) == 0 && r.err == nil {
			continue
		}
		if !yield(r.out, r.err) || models.CodeOf(r.err) == models.CodeUnavailable {
			return false
		}
	}
	return some && !failed && ctx.Err() == nil
}

// start starts the workers of a sweep.
func (s *sweep) start(ctx context.Context, workers *sync.WaitGroup, batches [][]overdue) <-chan sweepResult {
	concurrency := sweepConcurrency
	if s.Fragments.OneWriter {
		concurrency = 1
	}
	todo, done := make(chan []overdue, len(batches)), make(chan sweepResult)
	// Neighbours may have a product in common, so batches that run side by side are far
	// apart.
	for i, step := 0, (len(batches)+concurrency-1)/concurrency; i < step; i++ {
		for next := i; next < len(batches); next += step {
			todo <- batches[next]
		}
	}
	close(todo)
	for range concurrency {
		workers.Go(func() {
			for batch := range todo {
				s.end(ctx, batch, done)
			}
		})
	}
	go func() { workers.Wait(); close(done) }()
	return done
}

// end ends the reservations of a batch. One that cannot be ended is found by bisection
// and does not keep the others. Those of locked products come last, unless one
// transaction keeps them locked: a product in demand is free again soon.
func (s *sweep) end(ctx context.Context, batch []overdue, done chan<- sweepResult) {
	repeats := 0
	for todo := [][]overdue{batch}; len(todo) > 0 && ctx.Err() == nil; {
		batch, todo = todo[0], todo[1:]
		out, locks, err := s.expire(ctx, batch)
		if err != nil && models.CodeOf(err) != models.CodeUnavailable && len(batch) > 1 {
			half := len(batch) / 2
			todo = slices.Insert(todo, 0, batch[:half], batch[half:])
			continue
		}
		if errors.Is(err, decide.ErrLinesChanged) {
			continue // the next list has it as it is now
		}
		r := sweepResult{out: out, err: err}
		if len(locks) > 0 && err == nil {
			var later []overdue
			if later, r.locked, r.err = s.recheck(ctx, batch, locks); len(later) > 0 && repeats < attemptsMax {
				repeats++
				todo = append(todo, later)
			}
		}
		if len(r.out.Reservations)+len(r.locked) == 0 && r.err == nil {
			continue // another instance has ended them
		}
		select {
		case done <- r:
		case <-ctx.Done():
		}
	}
}

// recheck looks at locked products again. It returns the reservations to try again, and
// the products that the same transaction still keeps locked.
func (s *sweep) recheck(ctx context.Context, batch []overdue, locks dialect.Locks) (later []overdue, kept []string, err error) {
	now, err := s.engine.Locked(ctx, decide.SortedKeys(locks.Products()), nil)
	if err != nil {
		return nil, nil, s.Fault(err)
	}
	stillLocked := now.HeldSince(locks).Products()
	for _, r := range batch {
		if r.HasAny(locks.Products()) && !r.HasAny(stillLocked) {
			later = append(later, r)
		}
	}
	return later, slices.Collect(maps.Keys(stillLocked)), nil
}

// expire ends a batch of reservations in one transaction. It leaves out reservations of
// locked products, and returns the locks of these products.
func (d *Database) expire(ctx context.Context, batch []overdue) (out models.Outcome, locks dialect.Locks, err error) {
	ctx, cancel := context.WithTimeout(ctx, d.bounds.write)
	defer cancel()
	locks = dialect.Locks{}
	err = d.retry(ctx, func() error {
		out, err = d.tryExpire(ctx, batch)
		if !errors.Is(err, dialect.ErrLocked) || ctx.Err() != nil {
			return err
		}
		found, probeErr := d.engine.Locked(ctx, productsOf(batch), nil)
		if probeErr != nil {
			return probeErr
		}
		maps.Copy(locks, found)
		products := found.Products()
		batch = slices.DeleteFunc(slices.Clone(batch), func(r overdue) bool { return r.HasAny(products) })
		return fmt.Errorf("%w: %w", dialect.ErrRetry, err)
	})
	return out, locks, d.Fault(err)
}

func (d *Database) tryExpire(ctx context.Context, batch []overdue) (models.Outcome, error) {
	if len(batch) == 0 {
		return models.Outcome{}, nil
	}
	tx, err := d.engine.Begin(ctx, d.bounds.lockWait)
	if err != nil {
		return models.Outcome{}, err
	}
	defer tx.Rollback()
	keys := make([][16]byte, len(batch))
	for i, r := range batch {
		keys[i] = r.Key
	}
	products := productsOf(batch)
	d.executor.ExpectContention(products) // before they are locked: optimistic batches decided meanwhile are conditional decrements
	unit, err := tx.Expire(ctx, keys, products, holdersOf(batch))
	if err != nil || len(unit.Reservations) == 0 {
		return models.Outcome{}, err
	}
	d.notice(unit.Epoch)
	out := models.Outcome{Reservations: make([]*models.Reservation, 0, len(unit.Reservations))}
	changes := unit.ChangeSet()
	for _, key := range keys {
		r := unit.Reservations[key]
		if r == nil {
			continue
		}
		if r.ExpiresAt.After(unit.Now) { // the database's clock went back since: the reservation is not overdue any more
			return models.Outcome{}, dialect.ErrRetry
		}
		if err := changes.Expire(r, products); err != nil {
			return models.Outcome{}, err
		}
		at := r.At(unit.Now)
		out.Reservations = append(out.Reservations, &at)
	}
	if out.Stocks, err = tx.Save(ctx, unit); err != nil {
		return models.Outcome{}, err
	}
	d.executor.Learn(unit)
	return out, nil
}

// holdersOf lists the holders of counted reservations, each once, in order.
func holdersOf(batch []overdue) (holders []string) {
	for _, r := range batch {
		if r.Holder != "" {
			holders = append(holders, r.Holder)
		}
	}
	slices.Sort(holders)
	return slices.Compact(holders)
}

// productsOf lists the products of overdue reservations, each once, in order.
func productsOf(batch []overdue) (products []string) {
	for _, r := range batch {
		products = append(products, r.Products...)
	}
	slices.Sort(products)
	return slices.Compact(products)
}
