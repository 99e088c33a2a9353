package store

import (
	"context"
	"time"

	"onhand/store/database"
)

// Bounds of the audit that runs beside the service.
const (
	// sampleSettle is how long Redis may take to catch up before the sampler
	// counts a difference: twice what a copy reads around an untold change.
	sampleSettle = 2 * distrustFor
	// sampleWindow is how many of a product's last entries in the ledger are looked at, so
	// that an old product costs no more than a new one. "onhand audit" reads all.
	sampleWindow = 500
	// sampleTimeout bounds one step.
	sampleTimeout = 2 * time.Second
	// sampleSizeMin, sampleSizeMax and sampleCost: a page grows or shrinks so
	// that comparing it takes about that long.
	sampleSizeMin = 5
	sampleSizeMax = auditPageSize
	sampleCost    = 20 * time.Millisecond
	// holdsRest is how much longer than reading all open reservations took is
	// rested before that is done again.
	holdsRest = 100
	// holdsTimeout bounds that reading.
	holdsTimeout = 10 * time.Second
	// sampleSuspectsMax bounds the products that are looked at again.
	sampleSuspectsMax = 250
	// sampleLogMax bounds the differences logged in one pass; all are counted.
	sampleLogMax = 20
)

// sampler is an audit without end, a small page a second: it begins again with
// the first product when it is through. Every copy has its own.
type sampler struct {
	*auditor
	size   int // of the next page
	after  string
	rested time.Time // when they may be compared again
	began  time.Time // of this pass
	inPass map[AuditKind]int64
	logged int   // differences of this pass that were logged
	oldest int64 // outbox id that waits longest, and since when
	since  time.Time
}

func (s *Store) newSampler() *sampler {
	p := &sampler{size: sampleSizeMin, inPass: map[AuditKind]int64{}, began: time.Now()}
	p.auditor = newAuditor(s, AuditOptions{Settle: sampleSettle, Found: p.count}, true)
	p.triesMax, p.suspectsMax = 1, sampleSuspectsMax-auditPageSize
	return p
}

func (p *sampler) count(d Difference) {
	p.store.metrics.auditDifferences.WithLabelValues(string(d.Kind)).Inc()
	p.inPass[d.Kind]++
	if p.logged++; p.logged <= sampleLogMax {
		p.store.log.Warn("the audit found a difference", "difference", d.String())
	}
}

// step is what is done every second.
func (p *sampler) step(ctx context.Context) {
	p.measureOutbox(ctx)
	if err := p.sample(ctx); err != nil && ctx.Err() == nil {
		p.size = max(sampleSizeMin, p.size/2)
		p.store.metrics.auditFailures.Inc()
		p.store.log.Debug("the audit was held up", "error", err)
	}
}

func (p *sampler) sample(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	// While Redis is away it cannot be compared, and afterwards it has its time
	// from then on.
	if p.report.Redis = p.store.cache.Healthy(); !p.report.Redis {
		clear(p.suspects)
	}
	if err := p.lookAgain(bounded); err != nil {
		return err
	}
	began := time.Now()
	size := p.size
	ids, err := p.store.database.ProductIDs(bounded, p.after, size)
	if err != nil {
		return err
	}
	if err := p.page(bounded, p.after, ids, sampleWindow); err != nil {
		return err
	}
	p.store.metrics.auditProducts.Add(float64(len(ids)))
	if took := time.Since(began); took < sampleCost/2 {
		p.size = min(sampleSizeMax, 2*p.size)
	} else if took > 2*sampleCost {
		p.size = max(sampleSizeMin, p.size/2)
	}
	if len(ids) > 0 {
		p.after = ids[len(ids)-1]
	}
	if len(ids) == size {
		return nil
	}
	return p.endPass(ctx)
}

// endPass compares the open reservations, and begins with the first product
// again.
func (p *sampler) endPass(ctx context.Context) error {
	last := p.after
	p.after = ""
	if last != "" {
		if err := p.sampleHolds(ctx, database.Span{Through: last}); err != nil {
			return err
		}
	}
	m := p.store.metrics
	for _, kind := range auditKinds {
		m.auditLast.WithLabelValues(string(kind)).Set(float64(p.inPass[kind]))
	}
	m.auditPass.SetToCurrentTime()
	m.auditPassSeconds.Set(time.Since(p.began).Seconds())
	// Reservations that are not compared in the next pass are as they were.
	p.inPass = map[AuditKind]int64{AuditReserved: p.inPass[AuditReserved], AuditCommitted: p.inPass[AuditCommitted]}
	p.report.Differences, p.logged, p.began = map[AuditKind]int64{}, 0, time.Now()
	return nil
}

// sampleHolds compares open reservations with the levels, unless that was
// expensive not long ago.
func (p *sampler) sampleHolds(ctx context.Context, span database.Span) error {
	began := time.Now()
	if began.Before(p.rested) {
		return nil
	}
	p.inPass[AuditReserved], p.inPass[AuditCommitted] = 0, 0
	ctx, cancel := context.WithTimeout(ctx, holdsTimeout)
	defer cancel()
	err := p.holds(ctx, span)
	p.rested = time.Now().Add(holdsRest * time.Since(began))
	return err
}

// measureOutbox tells how many changes wait for the relay, and for how long
// the oldest of them has been seen to wait.
func (p *sampler) measureOutbox(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sampleTimeout)
	defer cancel()
	oldest, rows, err := p.store.database.OutboxBacklog(ctx)
	if err != nil {
		return // the audit's own reading will say so
	}
	if now := time.Now(); rows == 0 || oldest != p.oldest {
		p.oldest, p.since = oldest, now
	}
	p.store.metrics.outboxRows.Set(float64(rows))
	p.store.metrics.relayLag.Set(time.Since(p.since).Seconds())
}
