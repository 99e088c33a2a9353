package database

import (
	"context"

	"onhand/store/database/optimistic"
)

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
