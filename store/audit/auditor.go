package audit

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"onhand/models"
	"onhand/store/database"
)

// auditor compares page by page and keeps what it found, for Run and for the
// Sampler.
type auditor struct {
	subjects Subjects
	options  Options
	tally    Tally
	// The constants of these names, but for the Sampler and for tests.
	redisTriesMax, reservationSpanMin, suspectsMax int
	// suspects are products that Redis seems to be wrong about, by id, until they
	// settled. wrong are those that it is known to be wrong about, kept for repair.
	suspects map[string]suspect
	wrong    []string
}

// suspect is a product that Redis may only be late with.
type suspect struct {
	kind  DifferenceKind
	since time.Time
	// version is the version that Redis must reach. Once it has, a version beyond
	// that was written later, and Redis caught up.
	version int64
}

func newAuditor(subjects Subjects, options Options) *auditor {
	return &auditor{
		subjects: subjects, options: options, suspects: map[string]suspect{},
		redisTriesMax: redisTriesMax, reservationSpanMin: reservationSpanMin, suspectsMax: suspectsMax,
		tally: Tally{Redis: subjects.Redis != nil, Differences: map[DifferenceKind]int64{}},
	}
}

func (a *auditor) found(kind DifferenceKind, product, location, format string, args ...any) {
	a.tally.Differences[kind]++
	if a.options.Found != nil {
		a.options.Found(Difference{Kind: kind, ProductID: product, LocationID: location, Detail: fmt.Sprintf(format, args...)})
	}
}

// comparePage compares the products that follow after: levels with the ledger
// (with a window, its last entries), and Redis with the database.
func (a *auditor) comparePage(ctx context.Context, after string, ids []string, window int) error {
	if len(ids) == 0 {
		return nil
	}
	span := database.Span{After: after, Through: ids[len(ids)-1]}
	if err := a.subjects.Levels.AuditLedger(ctx, span, window, a.compareLedger); err != nil {
		return fmt.Errorf("compare levels and ledger: %w", err)
	}
	a.tally.Products += int64(len(ids))
	if !a.tally.Redis {
		return nil
	}
	return a.compareRedis(ctx, ids)
}

// compareLedger compares one level with its ledger.
func (a *auditor) compareLedger(l database.AuditedLevel) {
	if l.Exists {
		a.tally.Levels++
	}
	a.tally.Movements += l.Movements
	compare := func(kind DifferenceKind, other models.Quantities, words string) {
		if states := differentStates(l.Level, other, words); states != "" {
			if !l.Exists {
				states = "there is no such level; " + states
			}
			a.found(kind, l.ProductID, l.LocationID, "%s", states)
		}
	}
	if l.Complete {
		compare(LedgerSum, l.Sum, "its ledger adds up to")
	}
	if l.Complete || l.Movements > 0 { // a level without recent movements may have none in the window
		compare(LedgerLast, l.Last, "its last ledger row says")
	}
	if l.BrokenAt != 0 {
		a.found(LedgerChain, l.ProductID, l.LocationID, "movement %d does not follow from the one before it", l.BrokenAt)
	}
}

// differentStates describes the states in which two sets of quantities differ;
// empty for none.
func differentStates(level, other models.Quantities, words string) string {
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

// compareReservations compares the levels of a span with the open reservations.
func (a *auditor) compareReservations(ctx context.Context, span database.Span) error {
	err := a.subjects.Levels.AuditReservations(ctx, span, func(r database.AuditedReservations) {
		if r.Reserved != r.ActiveUnits {
			a.found(Reserved, r.ProductID, r.LocationID, "the level has %d reserved, active reservations have %d", r.Reserved, r.ActiveUnits)
		}
		if r.Committed != r.OrderedUnits {
			a.found(Committed, r.ProductID, r.LocationID, "the level has %d committed, open orders have %d", r.Committed, r.OrderedUnits)
		}
	})
	if err != nil {
		return fmt.Errorf("compare levels and reservations: %w", err)
	}
	return nil
}

// compareRedis compares what Redis has of these products.
func (a *auditor) compareRedis(ctx context.Context, ids []string) error {
	observations, err := a.observe(ctx, ids)
	if err != nil {
		return err
	}
	now := time.Now()
	for _, o := range observations {
		if o.look.Cached {
			a.tally.Hashes++
		}
		switch f := o.finding(); {
		case f.certain:
			a.foundInRedis(o, f)
		case f.kind != "" && len(a.suspects) < a.suspectsMax+pageSize:
			a.suspects[o.id] = suspect{kind: f.kind, since: now, version: o.version()}
		}
	}
	return nil
}

func (a *auditor) foundInRedis(o observation, f finding) {
	a.found(f.kind, o.id, "", "%s", f.detail)
	if a.options.Repair && f.kind != Unreadable {
		a.wrong = append(a.wrong, o.id)
	}
}

// recheckSuspects drops the suspects that caught up, and reports those whose time
// is over.
func (a *auditor) recheckSuspects(ctx context.Context) error {
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(a.suspects)), pageSize) {
		observations, err := a.observe(ctx, ids)
		if err != nil {
			return err
		}
		now := time.Now()
		for _, o := range observations {
			was, f := a.suspects[o.id], o.finding()
			caughtUp := f.kind == RedisBehind && o.look.Version >= was.version
			switch {
			case f.certain || (f.kind == was.kind && !caughtUp && now.Sub(was.since) >= a.options.Settle):
				a.foundInRedis(o, f)
				delete(a.suspects, o.id)
			case f.kind != was.kind || caughtUp:
				delete(a.suspects, o.id)
			}
		}
	}
	return nil
}

// retry asks Redis again when it does not answer: a busy one is not gone.
func (a *auditor) retry(ctx context.Context, ask func() error) error {
	err := ask()
	for n := 1; err != nil && n < a.redisTriesMax && sleep(ctx, time.Duration(n)*recheckInterval); n++ {
		err = ask()
	}
	return err
}
