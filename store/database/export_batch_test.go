package database

import (
	"context"
	"log/slog"
	"math"
	"time"

	"onhand/models"
	"onhand/store/database/decide"
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
	u := decide.NewUnitOfWork()
	u.Epoch, _ = d.epochAndSecret()
	d.executor.Wrap(func(e optimistic.Engine) optimistic.Engine {
		loaded, err := e.FetchProducts(context.Background(), []string{product})
		if err != nil {
			panic(err)
		}
		u.Directory = loaded.Directory
		return brokenEngine{e}
	})
	u.Products[product] = &models.Product{ProductID: product, Tracked: true, Version: math.MaxInt32}
	u.Levels[product] = []*models.Level{nil}
	d.executor.Learn(u)
}

// LoseSnapshotCache makes reading products into the snapshot cache panic.
func (d *Database) LoseSnapshotCache() {
	d.executor.Wrap(func(e optimistic.Engine) optimistic.Engine { return lostEngine{e} })
}

// brokenEngine panics when a batch is committed.
type brokenEngine struct{ optimistic.Engine }

func (brokenEngine) CommitBatch(context.Context, *optimistic.Batch, time.Duration) (optimistic.CommitResult, error) {
	panic("broken")
}

// lostEngine panics when products are read.
type lostEngine struct{ optimistic.Engine }

func (lostEngine) FetchProducts(context.Context, []string) (*decide.UnitOfWork, error) { panic("lost") }

// SetLog gives the database another log.
func (d *Database) SetLog(log *slog.Logger) { d.Log = log }
