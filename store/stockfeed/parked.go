package stockfeed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/store/backoff"
)

const (
	// parkedMax is how many unreadable products are kept in mind. More than
	// that is a broken database, and the rows wait in the outbox.
	parkedMax = 1000
	// parkMin and parkMax bound how long one waits until it is tried again.
	parkMin = time.Second
	parkMax = time.Minute
	// parkedAtOnce is how many are tried in one round.
	parkedAtOnce = 50
)

// parked are the products that changed and cannot be read. Their rows are off
// the outbox, lest they block it; what Redis had of them is removed, so that
// nobody reads an old value even if this process ends and forgets them. It is
// used by the goroutine that carries alone.
type parked struct {
	products map[string]*parkedProduct
	waitMin  time.Duration // parkMin, but for tests
	count    atomic.Int64
}

type parkedProduct struct {
	change models.Change // the latest
	wait   backoff.Backoff
	due    time.Time
}

// park puts the unreadable of these changes aside. An error means that they
// stay in the outbox.
func (r *Relay) park(ctx context.Context, changes []models.Change, unreadable *UnreadableError) error {
	p := &r.parked
	var fresh []string
	for id := range unreadable.Causes {
		if p.products[id] == nil {
			fresh = append(fresh, id)
		}
	}
	if len(p.products)+len(fresh) > parkedMax {
		return fmt.Errorf("more than %d products cannot be read: %w", parkedMax, unreadable)
	}
	if r.cfg.Drop != nil && len(fresh) > 0 {
		if err := r.cfg.Drop(ctx, fresh); err != nil {
			return err
		}
	}
	for _, id := range fresh {
		p.products[id] = &parkedProduct{wait: backoff.Backoff{Min: p.waitMin, Max: max(parkMax, p.waitMin)}}
		r.cfg.Logger.Error("a product cannot be read and is put aside; mend its rows", "product", id, "error", unreadable.Causes[id])
	}
	for _, change := range changes {
		if unreadable.Causes[change.ProductID] != nil {
			aside := p.products[change.ProductID]
			aside.change = change
			aside.due = time.Now().Add(aside.wait.Next())
		}
	}
	p.count.Store(int64(len(p.products)))
	return nil
}

// unpark forgets those that were read at last.
func (r *Relay) unpark(read []string, unreadable *UnreadableError) {
	p := &r.parked
	if len(p.products) == 0 {
		return
	}
	for _, id := range read {
		if p.products[id] != nil && (unreadable == nil || unreadable.Causes[id] == nil) {
			delete(p.products, id)
			r.cfg.Logger.Info("a product can be read again", "product", id)
		}
	}
	p.count.Store(int64(len(p.products)))
}

// retryParked tries again what is due.
func (r *Relay) retryParked(ctx context.Context) error {
	var changes []models.Change
	var ids []string
	now := time.Now()
	for id, aside := range r.parked.products {
		if now.After(aside.due) && len(ids) < parkedAtOnce {
			changes, ids = append(changes, aside.change), append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return r.tell(ctx, r.cfg.Epoch(), changes, ids)
}
