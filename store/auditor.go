package store

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"onhand/models"
	"onhand/models/stockjson"
	"onhand/store/database"
	"onhand/store/rediscache"
)

// auditor compares page by page and keeps what it found: for the command and
// for the sampler alike.
type auditor struct {
	store   *Store
	options AuditOptions
	report  AuditReport
	// The constants of these names, but for the sampler and for tests.
	triesMax, stride, suspectsMax int
	// suspects are products that Redis seems to be wrong about, until it had its
	// time to catch up; wrong, those it is known to be wrong about, kept only to
	// be mended.
	suspects map[string]suspect
	wrong    []string
}

// suspect is a product that Redis may only be a moment behind with.
type suspect struct {
	kind  AuditKind
	since time.Time
	// needs is the version Redis must reach: once it has, what is newer was
	// written since, and it is not to blame.
	needs int64
}

func newAuditor(s *Store, options AuditOptions, withRedis bool) *auditor {
	a := &auditor{store: s, options: options, suspects: map[string]suspect{}}
	a.triesMax, a.stride, a.suspectsMax = auditTriesMax, auditStride, auditSuspectsMax
	a.report = AuditReport{Redis: withRedis, Differences: map[AuditKind]int64{}}
	return a
}

func (a *auditor) found(kind AuditKind, product, location, format string, args ...any) {
	a.report.Differences[kind]++
	if a.options.Found != nil {
		a.options.Found(Difference{Kind: kind, ProductID: product, LocationID: location, Detail: fmt.Sprintf(format, args...)})
	}
}

// page compares the products that follow after: levels with their ledger (its
// last rows alone, with a window), and Redis with the database.
func (a *auditor) page(ctx context.Context, after string, ids []string, window int) error {
	if len(ids) == 0 {
		return nil
	}
	err := a.store.database.AuditLedger(ctx, database.Span{After: after, Through: ids[len(ids)-1]}, window, a.ledger)
	if err != nil {
		return fmt.Errorf("compare levels and ledger: %w", err)
	}
	a.report.Products += int64(len(ids))
	if !a.report.Redis {
		return nil
	}
	return a.redis(ctx, ids)
}

// ledger compares one level with its ledger.
func (a *auditor) ledger(l database.LedgerAudit) {
	if l.Exists {
		a.report.Levels++
	}
	a.report.Movements += l.Movements
	differ := func(kind AuditKind, other models.Quantities, words string) {
		if states := differing(l.Level, other, words); states != "" {
			if !l.Exists {
				states = "there is no such level; " + states
			}
			a.found(kind, l.ProductID, l.LocationID, "%s", states)
		}
	}
	if l.Complete {
		differ(AuditLedgerSum, l.Sum, "its ledger adds up to")
	}
	if l.Complete || l.Movements > 0 { // a quiet level may have none in the window
		differ(AuditLedgerLast, l.Last, "its last ledger row says")
	}
	if l.BrokenAt != 0 {
		a.found(AuditLedgerChain, l.ProductID, l.LocationID, "movement %d does not follow from the one before it", l.BrokenAt)
	}
}

// differing lists the states in which two sets of quantities differ; empty for
// none.
func differing(level, other models.Quantities, words string) string {
	var parts []string
	for _, state := range []models.State{
		models.Available, models.Reserved, models.Committed, models.Damaged, models.QualityControl, models.SafetyStock, models.Incoming,
	} {
		if has, says := *level.Of(state), *other.Of(state); has != says {
			parts = append(parts, fmt.Sprintf("%s is %d, %s %d", state, has, words, says))
		}
	}
	return strings.Join(parts, "; ")
}

// holds compares the levels of a span with the open reservations.
func (a *auditor) holds(ctx context.Context, span database.Span) error {
	err := a.store.database.AuditReservations(ctx, span, func(h database.ReservationsAudit) {
		if h.Reserved != h.ActiveUnits {
			a.found(AuditReserved, h.ProductID, h.LocationID, "the level has %d reserved, active holds hold %d", h.Reserved, h.ActiveUnits)
		}
		if h.Committed != h.OrderedUnits {
			a.found(AuditCommitted, h.ProductID, h.LocationID, "the level has %d committed, open orders hold %d", h.Committed, h.OrderedUnits)
		}
	})
	if err != nil {
		return fmt.Errorf("compare levels and reservations: %w", err)
	}
	return nil
}

// redis compares what Redis has of these products.
func (a *auditor) redis(ctx context.Context, ids []string) error {
	seen, err := a.lookAt(ctx, ids)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, s := range seen {
		if s.look.Cached {
			a.report.Hashes++
		}
		switch v := s.verdict(); {
		case v.sure:
			a.redisDiffers(s, v)
		case v.kind != "" && len(a.suspects) < a.suspectsMax+auditPageSize:
			a.suspects[s.id] = suspect{kind: v.kind, since: now, needs: s.version()}
		}
	}
	return nil
}

func (a *auditor) redisDiffers(s sight, v verdict) {
	a.found(v.kind, s.id, "", "%s", v.detail)
	if a.options.Repair && v.kind != AuditUnreadable {
		a.wrong = append(a.wrong, s.id)
	}
}

// lookAgain drops the suspects that caught up, and reports those that had
// their time.
func (a *auditor) lookAgain(ctx context.Context) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(a.suspects)), auditPageSize) {
		seen, err := a.lookAt(ctx, ids)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, s := range seen {
			was, v := a.suspects[s.id], s.verdict()
			caughtUp := v.kind == AuditRedisBehind && s.look.Version >= was.needs
			switch {
			case v.sure || (v.kind == was.kind && !caughtUp && now.Sub(was.since) >= a.options.Settle):
				a.redisDiffers(s, v)
				delete(a.suspects, s.id)
			case v.kind != was.kind || caughtUp:
				delete(a.suspects, s.id)
			}
		}
	}
	return nil
}

// mend refreshes what Redis is wrong about. First it drops the hash, then it
// reads the database: whoever commits after that reading tells Redis after the
// dropping, and is newer than what is written here.
func (a *auditor) mend(ctx context.Context) error {
	slices.Sort(a.wrong)
	for ids := range slices.Chunk(slices.Compact(a.wrong), auditPageSize) {
		if err := a.try(ctx, func() error { return a.store.cache.Invalidate(ctx, ids) }); err != nil {
			return fmt.Errorf("mend redis: %w", err)
		}
		read, _, err := a.store.readApartWith(ctx, ids, a.store.database.AuditStocks)
		if err != nil {
			return fmt.Errorf("mend redis: %w", err)
		}
		if err := a.try(ctx, func() error { return a.store.cache.Apply(ctx, read.Stocks) }); err != nil {
			return fmt.Errorf("mend redis: %w", err)
		}
		seen, err := a.lookAt(ctx, ids)
		if err != nil {
			return err
		}
		for _, s := range seen {
			if v := s.verdict(); v.kind == "" || v.kind == AuditRedisBehind { // behind: sold meanwhile, and on its way
				a.report.Mended++
			}
		}
	}
	a.wrong = nil
	return nil
}

// try asks Redis once more when it does not answer: a busy one is not gone.
func (a *auditor) try(ctx context.Context, ask func() error) error {
	err := ask()
	for n := 1; err != nil && n < a.triesMax && pause(ctx, time.Duration(n)*auditLookEvery); n++ {
		err = ask()
	}
	return err
}

// sight is a product in Redis beside the same in the database, read after it.
type sight struct {
	id     string
	look   rediscache.Inspection
	stock  *models.Stock // nil: the database does not know it
	broken error         // the database knows it, and nobody can read it
	epoch  string
}

// lookAt reads products in Redis and then in the database: what Redis knows
// the database must have known before.
func (a *auditor) lookAt(ctx context.Context, ids []string) ([]sight, error) {
	var looks []rediscache.Inspection
	err := a.try(ctx, func() (err error) {
		looks, err = a.store.cache.Inspect(ctx, ids)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compare redis and database: %w", err)
	}
	read, broken, err := a.store.readApartWith(ctx, ids, a.store.database.AuditStocks)
	if err != nil {
		return nil, fmt.Errorf("compare redis and database: %w", err)
	}
	stocks := make(map[string]*models.Stock, len(read.Stocks))
	for _, stock := range read.Stocks {
		stocks[stock.ProductID] = stock
	}
	seen := make([]sight, len(ids))
	for i, id := range ids {
		seen[i] = sight{id: id, look: looks[i], stock: stocks[id], broken: broken[id], epoch: read.Epoch}
	}
	return seen, nil
}

func (s sight) version() int64 {
	if s.stock == nil {
		return 0
	}
	return s.stock.Version
}

// verdict is what is wrong with a sight; sure tells that time cannot heal it.
type verdict struct {
	kind   AuditKind
	detail string
	sure   bool
}

func (s sight) verdict() verdict {
	l := s.look
	is := func(kind AuditKind, sure bool, format string, args ...any) verdict {
		return verdict{kind: kind, detail: fmt.Sprintf(format, args...), sure: sure}
	}
	switch {
	case s.broken != nil:
		return is(AuditUnreadable, true, "the database holds what cannot be read: %v", s.broken)
	case !l.Cached || (l.Missing && s.stock == nil):
		return verdict{}
	case l.Version < 0:
		return is(AuditRedisContent, true, "what lies in Redis cannot be read: %v", l.Err)
	case l.Epoch != s.epoch:
		return is(AuditRedisEpoch, false, "Redis has version %d of epoch %q, the database version %d of epoch %q", l.Version, l.Epoch, s.version(), s.epoch)
	case l.Version > s.version():
		return is(AuditRedisAhead, true, "Redis has version %d, the database only %d", l.Version, s.version())
	case l.Version < s.version():
		return is(AuditRedisBehind, false, "Redis has version %d, the database %d", l.Version, s.version())
	case l.Missing:
		return is(AuditRedisContent, true, "Redis says that version %d is no product", l.Version)
	case l.Err != nil:
		return is(AuditRedisContent, true, "version %d in Redis cannot be believed: %v", l.Version, l.Err)
	case !same(l.Stock, s.stock):
		return is(AuditRedisContent, true, "version %d has quantity %d in Redis and %d in the database, or other levels or settings", l.Version, l.Stock.Quantity(), s.stock.Quantity())
	}
	return verdict{}
}

// same compares all of two stocks but when and where they were read.
func same(a, b *models.Stock) bool {
	x, y := *a, *b
	x.AsOf, y.AsOf = time.Time{}, time.Time{}
	return bytes.Equal(stockjson.Encode(&x), stockjson.Encode(&y))
}
