package audit

import (
	"context"
	"fmt"
	"time"

	"onhand/models"
	"onhand/store/database"
	"onhand/store/rediscache"
)

// Bounds of an audit.
const (
	// pageSize is how many products are compared at a time.
	pageSize = 250
	// reservationSpanMin is for how many products at least the open reservations are
	// read once. No index finds them by product, so each time reads them all.
	reservationSpanMin = 100_000
	// suspectsMax bounds the suspects. With so many, the audit waits for them to
	// settle before it goes on.
	suspectsMax = 2000
	// recheckInterval is how often suspects are compared again, and the first wait
	// before Redis is asked again.
	recheckInterval = 200 * time.Millisecond
	// redisTriesMax is how often Redis is asked before it counts as gone.
	redisTriesMax = 5
)

// LevelSource reads levels beside what they must agree with.
type LevelSource interface {
	// ProductIDs lists products after an id, in order.
	ProductIDs(ctx context.Context, after string, limit int) ([]string, error)
	// AuditLedger reads each level of a span with its ledger. A window bounds how
	// many of a product's last entries are read; 0 means all.
	AuditLedger(ctx context.Context, span database.Span, window int, each func(database.AuditedLevel)) error
	// AuditReservations reads each level of a span that differs from the open reservations.
	AuditReservations(ctx context.Context, span database.Span, each func(database.AuditedReservations)) error
	// OutboxLen counts the outbox; OutboxBacklog also names its oldest row.
	OutboxLen(ctx context.Context) (rows int64, err error)
	OutboxBacklog(ctx context.Context) (oldest, rows int64, err error)
}

// ProductSource reads products from the database. Those that cannot be read are
// in unreadable.
type ProductSource interface {
	Read(ctx context.Context, ids []string) (reading database.Reading, unreadable map[string]error, err error)
}

// HashStore is Redis as an audit uses it.
type HashStore interface {
	// Inspect reads hashes as they are, whether or not a reader would use them.
	Inspect(ctx context.Context, ids []string) ([]rediscache.Inspection, error)
	// Invalidate removes products, Apply sets them, and ApplyDeletions says that there
	// are no such products.
	Invalidate(ctx context.Context, ids []string) error
	Apply(ctx context.Context, stocks []*models.Stock) error
	ApplyDeletions(ctx context.Context, epoch string, deletions []models.Change) error
	// Healthy reports whether Redis is asked at all now.
	Healthy() bool
}

// Subjects are what an audit compares.
type Subjects struct {
	Levels   LevelSource
	Products ProductSource
	// Redis is nil where it is not to be compared.
	Redis HashStore
	// Versions is for repairs.
	Versions VersionMover
	// Subscribers get what is repaired; nil where there are none.
	Subscribers StockDeliverer
}

// Options say how to audit.
type Options struct {
	// Settle is how long Redis may take to catch up with a commit before it counts
	// as a difference.
	Settle time.Duration
	// Repair replaces what is different in Redis. Stock in the database is never
	// changed; a product may get a later version.
	Repair bool
	// Found is called for each difference as it is found; it may be nil.
	Found func(Difference)
}

// Run audits everything once. On an error, which says that the audit could not be
// carried out, the tally is that of the part before it.
func Run(ctx context.Context, subjects Subjects, options Options) (Tally, error) {
	a := newAuditor(subjects, options)
	err := a.walk(ctx)
	if err == nil {
		a.tally.OutboxRows, err = subjects.Levels.OutboxLen(ctx)
	}
	return a.tally, err
}

// walk compares all products once.
func (a *auditor) walk(ctx context.Context) error {
	spanProducts, spanAfter := 0, ""
	for after, done := "", false; !done; {
		ids, err := a.subjects.Levels.ProductIDs(ctx, after, pageSize)
		if err != nil {
			return fmt.Errorf("list products: %w", err)
		}
		if err := a.comparePage(ctx, after, ids, 0); err != nil {
			return err
		}
		if len(ids) > 0 {
			after, spanProducts = ids[len(ids)-1], spanProducts+len(ids)
		}
		done = len(ids) < pageSize
		if spanProducts >= a.reservationSpanMin || (done && spanProducts > 0) {
			if err := a.compareReservations(ctx, database.Span{After: spanAfter, Through: after}); err != nil {
				return err
			}
			spanProducts, spanAfter = 0, after
		}
		if done || len(a.suspects)+len(a.wrong) >= a.suspectsMax {
			if err := a.settle(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle compares the suspects again until each has caught up or is a difference,
// and then repairs.
func (a *auditor) settle(ctx context.Context) error {
	for len(a.suspects) > 0 {
		if err := a.recheckSuspects(ctx); err != nil {
			return err
		}
		if len(a.suspects) > 0 && !sleep(ctx, recheckInterval) {
			return context.Cause(ctx)
		}
	}
	return a.repair(ctx)
}

// sleep waits, and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
