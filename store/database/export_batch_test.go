package database

import (
	"log/slog"

	"onhand/store/database/optimistic"
)

// The bounds of a batch.
const (
	BatchWritesMax      = batchWritesMax
	BatchLevelsMax      = batchLevelsMax
	OptimisticWritesMax = optimisticWritesMax
)

// Plan is an optimistic batch that tests commit by themselves.
type Plan struct{ *optimistic.Batch }

// NewPlan begins an optimistic batch; nil where the engine has none.
func (d *Database) NewPlan() *Plan {
	if d.executor == nil {
		return nil
	}
	return &Plan{d.executor.Begin()}
}

// Add decides one more write.
func (p *Plan) Add(w *PreparedWrite) bool { return p.Batch.Add(w.optimistic) }

// Unknown lists the products of a write that the snapshot cache lacks.
func (d *Database) Unknown(w *PreparedWrite) []string { return d.missing(w) }

// BreakSnapshotCache makes every optimistic decision on a product panic, and the
// commit of those that were made before.
func (d *Database) BreakSnapshotCache(product string) {
	d.executor.Cache.Mu.Lock()
	defer d.executor.Cache.Mu.Unlock()
	clear(d.executor.Cache.Products[product].Levels)
}

// LoseSnapshotCache makes reading products into the snapshot cache panic.
func (d *Database) LoseSnapshotCache() {
	d.executor.Cache.Mu.Lock()
	defer d.executor.Cache.Mu.Unlock()
	d.executor.Cache.Products = nil
}

// SetLog gives the database another log.
func (d *Database) SetLog(log *slog.Logger) { d.Log = log }
