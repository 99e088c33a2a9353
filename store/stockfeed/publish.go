package stockfeed

import (
	"context"
	"errors"

	"onhand/models"
	"onhand/models/poison"
)

// publishBatch publishes the changes of one batch that Redis has not published.
// Mostly there are none, because the instance that made a change publishes it
// after its commit.
func (r *Relay) publishBatch(ctx context.Context, changes []models.Change) error {
	latest := latestChanges(changes)
	epoch := r.cfg.Epochs.Epoch()
	unpublished, err := r.cfg.Cache.Unpublished(ctx, latest, epoch)
	if err != nil || len(unpublished) == 0 {
		return err
	}
	return r.publish(ctx, epoch, latest, unpublished)
}

// publishAnnounced is publishBatch for changes that a notification announced: mostly those
// of an outside writer, which Redis has not published. Their stock, where it was read with
// them, is applied without a question to Redis, whose script publishes no version twice.
func (r *Relay) publishAnnounced(ctx context.Context, changes []models.Change, stocks []*models.Stock) error {
	latest := latestChanges(changes)
	found := asOf(latest, stocks, r.cfg.Epochs.Epoch())
	if found == nil || r.poison.count.Load() > 0 {
		return r.publishBatch(ctx, changes)
	}
	err := r.cfg.Cache.Apply(ctx, found)
	r.cfg.Hub.Deliver(found) // after Redis, even if that failed
	if err == nil {
		r.published.Add(int64(len(found)))
	}
	return err
}

// asOf lists the stock of each change, or is nil where one is missing, older than its
// change, or of another epoch.
func asOf(changes []models.Change, stocks []*models.Stock, epoch string) []*models.Stock {
	byID := make(map[string]*models.Stock, len(stocks))
	for _, s := range stocks {
		byID[s.ProductID] = s
	}
	found := make([]*models.Stock, 0, len(changes))
	for _, change := range changes {
		s := byID[change.ProductID]
		if s == nil || s.Version < change.Version || s.Epoch != epoch {
			return nil
		}
		found = append(found, s)
	}
	return found
}

// publish reads the products named by ids, applies them to Redis and delivers
// them. changes has the change of each. Products with poison rows are recorded
// for a retry, so that they do not delay the others.
func (r *Relay) publish(ctx context.Context, epoch string, changes []models.Change, ids []string) error {
	stocks, err := r.cfg.Stocks.Stocks(ctx, ids)
	var poison *poison.RowsError
	if errors.As(err, &poison) {
		err = r.addPoison(ctx, changes, poison)
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
	// After Redis, so that a watch that is refreshed finds no older value there.
	// Watches get the value even if Redis failed.
	r.cfg.Hub.Deliver(found)
	if err != nil {
		return err
	}
	r.published.Add(int64(len(found)))
	if deletions := deletionsOf(changes, ids, found, poison); len(deletions) > 0 {
		if err := r.cfg.Cache.ApplyDeletions(ctx, epoch, deletions); err != nil {
			return err
		}
	}
	r.removePoison(ids, poison)
	return nil
}

// latestChanges keeps the highest version of each product, in order of first
// mention.
func latestChanges(changes []models.Change) []models.Change {
	index := make(map[string]int, len(changes))
	latest := make([]models.Change, 0, len(changes))
	for _, c := range changes {
		i, ok := index[c.ProductID]
		if !ok {
			index[c.ProductID] = len(latest)
			latest = append(latest, c)
		} else if c.Version > latest[i].Version {
			latest[i] = c
		}
	}
	return latest
}

// deletionsOf lists the changes of products that were read, were not found, and
// have no poison rows.
func deletionsOf(changes []models.Change, read []string, found []*models.Stock, poison *poison.RowsError) []models.Change {
	if len(read) == len(found) {
		return nil
	}
	missing := make(map[string]bool, len(read))
	for _, id := range read {
		missing[id] = true
	}
	for _, s := range found {
		delete(missing, s.ProductID)
	}
	if poison != nil {
		for id := range poison.Causes {
			delete(missing, id)
		}
	}
	var deletions []models.Change
	for _, c := range changes {
		if missing[c.ProductID] {
			deletions = append(deletions, c)
		}
	}
	return deletions
}
