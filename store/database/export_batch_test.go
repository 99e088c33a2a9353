package database

import "log/slog"

// The bounds of a batch.
const (
	BatchWritesMax      = batchWritesMax
	BatchLevelsMax      = batchLevelsMax
	OptimisticWritesMax = optimisticWritesMax
)

// Add decides one more hold.
func (p *Plan) Add(w *PreparedWrite) bool { return p.add(w.optimistic) }

// Unknown lists the products of a hold of which nothing is remembered.
func (d *Database) Unknown(w *PreparedWrite) []string { return d.missing(w) }

// BreakSnapshotCache makes every optimistic decision on a product panic, and the
// commit of those that were made before.
func (d *Database) BreakSnapshotCache(product string) {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	clear(d.memory.products[product].levels)
}

// LoseSnapshotCache makes reading products into the snapshot cache panic.
func (d *Database) LoseSnapshotCache() {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	d.memory.products = nil
}

// SetLog gives the database another log.
func (d *Database) SetLog(log *slog.Logger) { d.log = log }
