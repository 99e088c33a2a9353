package stockfeed

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"onhand/models"
	"onhand/models/poison"
	"onhand/store/backoff"
)

const (
	// poisonProductsMax bounds the products with poison rows. More than that means
	// that the database is damaged, and their changes stay in the outbox.
	poisonProductsMax = 1000
	// poisonRetryMin and poisonRetryMax bound the wait before a retry.
	poisonRetryMin = time.Second
	poisonRetryMax = time.Minute
	// poisonRetryBatchMax is how many products one round retries.
	poisonRetryBatchMax = 50
)

// poisonProducts are the changed products that have poison rows. Their outbox
// rows are deleted, so that they do not block the outbox. Redis does not have
// these products either, so that no reader finds an old value, even after this
// process has ended. Only the goroutine that drains uses it.
type poisonProducts struct {
	byID  map[string]*poisonProduct
	count atomic.Int64
}

type poisonProduct struct {
	change  models.Change // the latest
	wait    backoff.Backoff
	retryAt time.Time
}

// addPoison records the products with poison rows among these changes. After an
// error the changes must stay in the outbox.
func (r *Relay) addPoison(ctx context.Context, changes []models.Change, poison *poison.RowsError) error {
	p := &r.poison
	var added []string
	for id := range poison.Causes {
		if p.byID[id] == nil {
			added = append(added, id)
		}
	}
	if len(p.byID)+len(added) > poisonProductsMax {
		return fmt.Errorf("more than %d products cannot be read: %w", poisonProductsMax, poison)
	}
	if len(added) > 0 {
		if err := r.cfg.Cache.Invalidate(ctx, added); err != nil {
			return err
		}
	}
	for _, id := range added {
		p.byID[id] = &poisonProduct{wait: backoff.Backoff{Min: poisonRetryMin, Max: poisonRetryMax}}
		r.cfg.Logger.Error("a product has a poison row and is not published until the row is repaired",
			"product", id, "error", poison.Causes[id])
	}
	for _, change := range changes {
		if poison.Causes[change.ProductID] != nil {
			product := p.byID[change.ProductID]
			product.change = change
			product.retryAt = time.Now().Add(product.wait.Next())
		}
	}
	p.count.Store(int64(len(p.byID)))
	return nil
}

// removePoison removes the products that were read without an error.
func (r *Relay) removePoison(read []string, poison *poison.RowsError) {
	p := &r.poison
	if len(p.byID) == 0 {
		return
	}
	for _, id := range read {
		if p.byID[id] != nil && (poison == nil || poison.Causes[id] == nil) {
			delete(p.byID, id)
			r.cfg.Logger.Info("a product has no poison row any more", "product", id)
		}
	}
	p.count.Store(int64(len(p.byID)))
}

// retryPoison publishes the products whose wait is over.
func (r *Relay) retryPoison(ctx context.Context) error {
	var changes []models.Change
	var ids []string
	now := time.Now()
	for id, product := range r.poison.byID {
		if now.After(product.retryAt) && len(ids) < poisonRetryBatchMax {
			changes, ids = append(changes, product.change), append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	return r.publish(ctx, r.cfg.Epochs.Epoch(), changes, ids)
}
