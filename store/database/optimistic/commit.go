package optimistic

import (
	"cmp"
	"context"
	"slices"
	"time"

	"onhand/models"
)

// CommitResult is what the engine reports of a batch that committed.
type CommitResult struct {
	// CreatedAt is the time of the reservations; ChangedAt, that of the stock.
	CreatedAt, ChangedAt time.Time
	// Found has the levels that another instance had changed too.
	Found []FoundLevel
}

// FoundLevel is the one level of a product after a conditional batch, with the
// product's version, where they are not as the batch expected.
type FoundLevel struct {
	Product string
	Version int64
	models.Quantities
}

// Commit commits a closed batch. After an error nothing is known to have happened;
// the same reservations may be decided under lock.
//
// Errors: one that wraps ErrRefused; UNAVAILABLE; context.DeadlineExceeded inside.
func (b *ReservationBatch) Commit(ctx context.Context) (models.Outcome, error) {
	if b.stale { // found out before it was sent
		return models.Outcome{}, ErrRefused
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.executor.Timeout)
	defer cancel()
	result, err := b.executor.engine.CommitBatch(ctx, b, b.executor.LockWait)
	if err != nil {
		return models.Outcome{}, err
	}
	b.executor.cache.committed(b, result.Found)
	return b.outcome(result), nil
}

func (b *ReservationBatch) outcome(c CommitResult) models.Outcome {
	out := models.Outcome{Results: make([]models.WriteResult, len(b.Reservations)), Stocks: b.stocks, Contended: b.Conditional}
	for i, d := range b.Reservations {
		r := d.reservation
		r.CreatedAt, r.ServerTime, r.ExpiresAt = c.CreatedAt, c.ChangedAt, c.CreatedAt.Add(d.ttl)
		out.Results[i] = models.WriteResult{Reservation: r}
	}
	for _, s := range out.Stocks {
		s.AsOf = c.ChangedAt
	}
	for _, f := range c.Found {
		i, _ := slices.BinarySearchFunc(out.Stocks, f.Product, func(s *models.Stock, id string) int { return cmp.Compare(s.ProductID, id) })
		out.Stocks[i].Version, out.Stocks[i].Levels[0].Quantities = f.Version, f.Quantities
	}
	return out
}
