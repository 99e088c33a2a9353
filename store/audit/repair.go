package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"onhand/models"
	"onhand/store/rediscache"
)

// VersionMover moves the versions of products in the database.
type VersionMover interface {
	// MoveVersion gives a product a later version and leaves its stock as it is. It
	// changes nothing unless the product still has the version from, in that epoch.
	MoveVersion(ctx context.Context, epoch, productID string, from, to int64) (moved bool, err error)
}

// StockDeliverer delivers stocks to the subscribers of this instance.
type StockDeliverer interface{ Deliver(stocks []*models.Stock) }

// remedy is how a repair treats a product.
type remedy int

const (
	// leave: nothing is wrong, or nothing can be done.
	leave remedy = iota
	// rewrite: the hash is a miss for every reader, or it is old. The database's stock
	// replaces it.
	rewrite
	// raise: readers may have believed the hash, or a version of it. The product first
	// gets a version after it, so that the database's stock is newer for the script,
	// for subscribers and for clients. A version never goes back for any of them.
	raise
	// replace: the hash has the largest version. It is removed and written again.
	replace
	// negate: the database has no such product. The hash becomes a negative entry.
	negate
)

// remedy returns how to repair an observation, and the latest version that readers
// may have believed. seen is a version of the same epoch that was found in Redis
// earlier; 0 for none.
func (o observation) remedy(seen int64) (what remedy, believed int64) {
	l, f := o.look, o.finding()
	believed = seen
	if l.Cached && l.Epoch == o.epoch {
		believed = max(believed, l.Version)
	}
	sameVersion := f.kind == RedisContent && l.Version == o.version() && (l.Stock != nil || l.Missing)
	switch {
	case o.unreadable != nil, o.epoch == "":
		return leave, believed
	case o.stock == nil && f.kind == "":
		return leave, believed
	case o.stock == nil:
		return negate, believed
	case believed > o.version() && believed >= rediscache.HashVersionMax:
		return replace, believed
	case believed > o.version(), sameVersion:
		return raise, believed
	case f.kind != "":
		return rewrite, believed
	}
	return leave, believed
}

// repair replaces what differs in Redis.
func (a *auditor) repair(ctx context.Context) error {
	slices.Sort(a.wrong)
	for ids := range slices.Chunk(slices.Compact(a.wrong), pageSize) {
		observations, err := a.observe(ctx, ids)
		if err != nil {
			return err
		}
		repaired, err := a.repairObserved(ctx, observations, nil)
		a.tally.Repaired += int64(len(repaired))
		if err != nil {
			return err
		}
	}
	a.wrong = nil
	return nil
}

// repairObserved repairs what was observed; see repairAll. It returns the products that
// are right afterwards, also beside an error: where the version was moved and Redis did
// not answer, the relay completes the repair.
func (a *auditor) repairObserved(ctx context.Context, observations []observation, seen map[string]sighting) (repaired []string, err error) {
	if len(observations) == 0 {
		return nil, nil
	}
	if err = a.repairAll(ctx, observations, seen); err != nil {
		err = fmt.Errorf("repair redis: %w", err)
	}
	ids := make([]string, len(observations))
	for i, o := range observations {
		ids[i] = o.id
	}
	observations, observeErr := a.observe(ctx, ids)
	for _, o := range observations {
		if f := o.finding(); f.kind == "" || f.kind == RedisBehind { // behind: written meanwhile, and on its way
			repaired = append(repaired, o.id)
		}
	}
	return repaired, errors.Join(err, observeErr)
}

// repairAll repairs what was observed. seen has versions that were found earlier. A
// product that another transaction has locked does not delay the others; its error
// is returned in the end.
func (a *auditor) repairAll(ctx context.Context, observations []observation, seen map[string]sighting) error {
	var right []*models.Stock
	var reread, replaced []string
	var absent []models.Change
	var epoch string
	var errs []error
	for _, o := range observations {
		epoch = o.epoch
		switch what, believed := o.remedy(seen[o.id].in(o.epoch)); what {
		case rewrite:
			right = append(right, o.stock)
		case raise:
			if _, err := a.subjects.Versions.MoveVersion(ctx, o.epoch, o.id, o.version(), believed+1); err != nil {
				errs = append(errs, err)
				continue
			}
			reread = append(reread, o.id)
		case replace:
			reread, replaced = append(reread, o.id), append(replaced, o.id)
		case negate:
			absent = append(absent, models.Change{ProductID: o.id, Version: max(believed, 0) + 1})
		}
	}
	stocks, err := a.readAgain(ctx, reread, replaced)
	errs = append(errs, err, a.apply(ctx, append(right, stocks...)))
	if len(absent) > 0 {
		errs = append(errs, a.retry(ctx, func() error { return a.subjects.Redis.ApplyDeletions(ctx, epoch, absent) }))
	}
	return errors.Join(errs...)
}

// readAgain reads products whose version was moved. It removes the replaced ones
// from Redis before: a commit after this reading reaches Redis after the removal,
// and is newer than what is written here.
func (a *auditor) readAgain(ctx context.Context, ids, replaced []string) ([]*models.Stock, error) {
	if len(replaced) > 0 {
		if err := a.retry(ctx, func() error { return a.subjects.Redis.Invalidate(ctx, replaced) }); err != nil {
			return nil, err
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	read, _, err := a.subjects.Products.Read(ctx, ids)
	return read.Stocks, err
}

// apply writes stocks to Redis, which publishes them, and then delivers them to the
// subscribers of this instance: one that reads again must not find an older value.
func (a *auditor) apply(ctx context.Context, stocks []*models.Stock) error {
	if len(stocks) == 0 {
		return nil
	}
	err := a.retry(ctx, func() error { return a.subjects.Redis.Apply(ctx, stocks) })
	if a.subjects.Subscribers != nil {
		a.subjects.Subscribers.Deliver(stocks)
	}
	return err
}
