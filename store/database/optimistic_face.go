package database

import (
	"context"

	"onhand/models"
	"onhand/store/database/optimistic"
)

// Prepare works out what a write needs that does not depend on the stock. It is
// nil for writes that are never decided ahead.
func (d *Database) Prepare(w models.Write) *optimistic.PreparedReservation {
	return d.executor.Prepare(w)
}

// NewPlan begins an optimistic batch; nil where the engine has none.
func (d *Database) NewPlan() *optimistic.Batch { return d.executor.Begin() }

// Unknown lists the products of a write that the snapshot cache lacks.
func (d *Database) Unknown(w *optimistic.PreparedReservation) []string { return d.executor.Missing(w) }

// Fetch reads products into the snapshot cache.
func (d *Database) Fetch(ctx context.Context, ids []string) error { return d.executor.Fetch(ctx, ids) }

// preloadPage is how many products Preload reads at once.
const preloadPage = 1000

// Preload reads products in the order of their ids into the snapshot cache until it
// is full: an instance that starts in the middle of a rush decides optimistically
// from the first reservation on.
func (d *Database) Preload(ctx context.Context) error {
	if d.executor == nil {
		return nil
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
