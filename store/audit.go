package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"onhand/store/database"
)

// Bounds of an audit. What it keeps in memory is one page and the suspects.
const (
	// auditPageSize is how many products are compared at a time.
	auditPageSize = 250
	// auditStride is for how many products at least the open reservations are
	// read once: they are found by no product, so that each time reads them all.
	auditStride = 100_000
	// auditSuspectsMax is how many products Redis may seem wrong about before
	// the audit stops and waits which of them catch up.
	auditSuspectsMax = 2000
	// auditLookEvery is how often suspects are looked at again.
	auditLookEvery = 200 * time.Millisecond
	// auditTriesMax is how often Redis is asked before it counts as gone.
	auditTriesMax = 5
)

// AuditKind is what is wrong.
type AuditKind string

// The kinds of differences.
const (
	// AuditLedgerSum: the ledger's deltas do not add up to the level.
	AuditLedgerSum AuditKind = "ledger_sum"
	// AuditLedgerLast: the ledger's last row says other quantities than the level.
	AuditLedgerLast AuditKind = "ledger_last"
	// AuditLedgerChain: a ledger row does not follow from the one before it.
	AuditLedgerChain AuditKind = "ledger_chain"
	// AuditReserved: the level's reserved units are not what active holds hold.
	AuditReserved AuditKind = "reserved"
	// AuditCommitted: its committed units are not what open orders hold.
	AuditCommitted AuditKind = "committed"
	// AuditUnreadable: somebody wrote, around the checks, what nobody can read.
	AuditUnreadable AuditKind = "unreadable"
	// AuditRedisBehind: Redis has an older version and does not catch up.
	AuditRedisBehind AuditKind = "redis_behind"
	// AuditRedisAhead: Redis has a version that the database never gave.
	AuditRedisAhead AuditKind = "redis_ahead"
	// AuditRedisEpoch: Redis has a version of another history. Onhand's readers
	// pass it over; other readers of the hash may not.
	AuditRedisEpoch AuditKind = "redis_epoch"
	// AuditRedisContent: Redis has the right version with wrong contents.
	AuditRedisContent AuditKind = "redis_content"
)

// auditKinds lists them all, for metrics.
var auditKinds = []AuditKind{
	AuditLedgerSum, AuditLedgerLast, AuditLedgerChain, AuditReserved, AuditCommitted, AuditUnreadable,
	AuditRedisBehind, AuditRedisAhead, AuditRedisEpoch, AuditRedisContent,
}

// Difference is one finding.
type Difference struct {
	Kind      AuditKind
	ProductID string
	// LocationID is empty for what Redis holds, which is the whole product.
	LocationID string
	// Detail says what was found and what should be, for people.
	Detail string
}

// String is one line.
func (d Difference) String() string {
	if d.LocationID == "" {
		return fmt.Sprintf("%s: %q: %s", d.Kind, d.ProductID, d.Detail)
	}
	return fmt.Sprintf("%s: %q at %q: %s", d.Kind, d.ProductID, d.LocationID, d.Detail)
}

// AuditOptions say how to audit.
type AuditOptions struct {
	// Settle is how long Redis may take to catch up with what was committed
	// before that counts as a difference.
	Settle time.Duration
	// Repair refreshes Redis where it differs. The database is never changed.
	Repair bool
	// Found is called for each difference as it is found; it may be nil.
	Found func(Difference)
}

// AuditReport is what an audit looked at and found.
type AuditReport struct {
	// Products, Levels and Movements were compared in the database, Hashes in
	// Redis.
	Products, Levels, Movements, Hashes int64
	// Redis is false where the only Redis is inside another process, and so was
	// not looked at.
	Redis bool
	// Differences counts what was found, by kind; Mended, the products that are
	// right in Redis again. Waiting are the changes that the outbox still held at
	// the end.
	Differences map[AuditKind]int64
	Mended      int64
	Waiting     int64
}

// Total is how many differences were found.
func (r AuditReport) Total() (n int64) {
	for _, found := range r.Differences {
		n += found
	}
	return n
}

// Remaining is how many differences there still are: those that were found and
// not mended.
func (r AuditReport) Remaining() int64 { return r.Total() - r.Mended }

// String sums it up in a line.
func (r AuditReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d products, %d levels, %d ledger rows", r.Products, r.Levels, r.Movements)
	if r.Redis {
		fmt.Fprintf(&b, ", %d products in Redis", r.Hashes)
	} else {
		b.WriteString("; Redis is inside the server and was not looked at")
	}
	if r.Waiting > 0 {
		fmt.Fprintf(&b, "; %d changes wait for a server's relay", r.Waiting)
	}
	if r.Total() == 0 {
		b.WriteString(": no difference")
		return b.String()
	}
	fmt.Fprintf(&b, ": %d differences", r.Total())
	separator := " ("
	for _, kind := range slices.Sorted(maps.Keys(r.Differences)) {
		fmt.Fprintf(&b, "%s%s %d", separator, kind, r.Differences[kind])
		separator = ", "
	}
	b.WriteString(")")
	if r.Mended > 0 {
		fmt.Fprintf(&b, ", %d mended in Redis", r.Mended)
	}
	return b.String()
}

// Audit proves, product by product, that the ledger adds up to the levels, row
// by row and state by state; that reserved and committed units are those of
// open reservations; and that Redis, for what it holds, says what the database
// says. It may run beside live traffic: what the database says of a product is
// read in one statement, and Redis is given time to catch up.
//
// The error says that the audit could not be carried out; the report is then
// of what was done until there.
func (s *Store) Audit(ctx context.Context, options AuditOptions) (AuditReport, error) {
	// Without a start of ours, the Redis inside this process is empty.
	withRedis := s.embedded == nil || s.stop != nil
	a := newAuditor(s, options, withRedis)
	err := a.walk(ctx)
	if err == nil {
		a.report.Waiting, err = s.database.OutboxLen(ctx)
	}
	return a.report, err
}

// Waiting is how many changes the outbox holds that Redis was not told of yet.
func (s *Store) Waiting(ctx context.Context) (int64, error) { return s.database.OutboxLen(ctx) }

// walk goes through all products once.
func (a *auditor) walk(ctx context.Context) error {
	stride, strideFrom := 0, ""
	for after, done := "", false; !done; {
		ids, err := a.store.database.ProductIDs(ctx, after, auditPageSize)
		if err != nil {
			return fmt.Errorf("list products: %w", err)
		}
		if err := a.page(ctx, after, ids, 0); err != nil {
			return err
		}
		if len(ids) > 0 {
			after, stride = ids[len(ids)-1], stride+len(ids)
		}
		done = len(ids) < auditPageSize
		if stride >= a.stride || (done && stride > 0) {
			if err := a.holds(ctx, database.Span{After: strideFrom, Through: after}); err != nil {
				return err
			}
			stride, strideFrom = 0, after
		}
		if done || len(a.suspects)+len(a.wrong) >= a.suspectsMax {
			if err := a.settle(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// settle looks at the suspects until each has caught up or had its time.
func (a *auditor) settle(ctx context.Context) error {
	for len(a.suspects) > 0 {
		if err := a.lookAgain(ctx); err != nil {
			return err
		}
		if len(a.suspects) > 0 && !pause(ctx, auditLookEvery) {
			return context.Cause(ctx)
		}
	}
	return a.mend(ctx)
}

// pause waits; it tells whether the context still lasts.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
