package database

import (
	"context"
	"log/slog"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
	"onhand/store/database/decide/keyhash"
	"onhand/store/database/optimistic"
)

// The bounds of a batch.
const (
	BatchWritesMax      = batchWritesMax
	BatchLevelsMax      = batchLevelsMax
	OptimisticWritesMax = optimisticWritesMax
)

// Len returns how many writes the batch has.
func (b *Batch) Len() int { return len(b.writes) }

// OptimisticBatch is an optimistic batch that a test commits itself.
type OptimisticBatch struct{ *optimistic.ReservationBatch }

// NewOptimisticBatch begins an optimistic batch; nil where the engine has none.
func (d *Database) NewOptimisticBatch() *OptimisticBatch {
	if d.executor == nil {
		return nil
	}
	return &OptimisticBatch{d.executor.Begin()}
}

// Add decides one more write.
func (b *OptimisticBatch) Add(w *PreparedWrite) bool { return b.ReservationBatch.Add(w.optimistic) }

// Unknown returns the products of a write that the snapshot cache lacks.
func (d *Database) Unknown(w *PreparedWrite) []string { return d.missing(w) }

// BrokenEngine is an engine that panics.
type BrokenEngine struct {
	optimistic.BatchEngine
	// Product is the product whose reservations panic when they are decided.
	Product string
	// Commits and Fetches panic.
	Commits, Fetches bool
}

type brokenRows struct {
	optimistic.ReservationRows
	engine *BrokenEngine
}

// BreakEngine gives the database an engine that panics as its fields say, and an empty
// snapshot cache.
func (d *Database) BreakEngine() *BrokenEngine {
	e := &BrokenEngine{BatchEngine: d.engine.(optimistic.BatchEngine)}
	d.executor = optimistic.NewExecutor(e, d.identity)
	return e
}

// NewRows implements optimistic.BatchEngine.
func (e *BrokenEngine) NewRows() optimistic.ReservationRows {
	return brokenRows{e.BatchEngine.NewRows(), e}
}

// Add implements optimistic.ReservationRows.
func (r brokenRows) Add(hashes *keyhash.KeyHashes, reservation *models.Reservation, ttl time.Duration, counted, inPurchases bool) {
	for _, line := range reservation.Lines {
		if line.ProductID == r.engine.Product {
			panic("broken rows")
		}
	}
	r.ReservationRows.Add(hashes, reservation, ttl, counted, inPurchases)
}

// CommitBatch implements optimistic.BatchEngine.
func (e *BrokenEngine) CommitBatch(ctx context.Context, b *optimistic.ReservationBatch, lockWait time.Duration) (optimistic.CommitResult, error) {
	if e.Commits {
		panic("broken commit")
	}
	return e.BatchEngine.CommitBatch(ctx, b, lockWait)
}

// FetchProducts implements optimistic.BatchEngine.
func (e *BrokenEngine) FetchProducts(ctx context.Context, products []string) (*decide.UnitOfWork, error) {
	if e.Fetches {
		panic("broken fetch")
	}
	return e.BatchEngine.FetchProducts(ctx, products)
}

// SetLog gives the database another log.
func (d *Database) SetLog(log *slog.Logger) { d.Log = log }
