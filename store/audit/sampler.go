package audit

import (
	"context"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"onhand/store/database"
)

// Bounds of the sampled audit.
const (
	// sampleWindow is how many of a product's last ledger entries are read, so that
	// an old product costs no more than a new one. [Run] reads all.
	sampleWindow = 500
	// stepTimeout bounds one step.
	stepTimeout = 2 * time.Second
	// sampleSizeMin and sampleSizeMax bound the page. It grows or shrinks so that
	// comparing it takes about stepTarget.
	sampleSizeMin = 5
	sampleSizeMax = pageSize
	stepTarget    = 20 * time.Millisecond
	// reservationsRest is how many times longer than reading all open reservations
	// took the sampler waits before it reads them again.
	reservationsRest = 100
	// reservationsTimeout bounds that reading.
	reservationsTimeout = 10 * time.Second
	// sampleSuspectsMax bounds the suspects.
	sampleSuspectsMax = 250
)

// Sampler audits beside the service, a small page at each step, and repairs Redis.
// After the last product it begins again with the first. Every instance has its own.
type Sampler struct {
	*auditor
	metrics   *samplerMetrics
	incidents *incidents
	repairer  *Repairer
	log       *slog.Logger

	size      int    // of the next page
	after     string // the last product of the page before it
	passBegan time.Time
	inPass    map[DifferenceKind]int64
	resumeAt  time.Time // when reservations may be compared again

	oldestRow   int64 // in the outbox, at the last step
	oldestSince time.Time

	report sampleReport
}

// NewSampler makes a Sampler. Settle is how long Redis may be late before that is
// a difference.
func NewSampler(subjects Subjects, settle time.Duration, log *slog.Logger) *Sampler {
	s := &Sampler{
		metrics: newSamplerMetrics(), log: log,
		size: sampleSizeMin, inPass: map[DifferenceKind]int64{}, passBegan: time.Now(),
	}
	s.incidents = newIncidents(s.metrics.differences, log)
	s.repairer = newRepairer(subjects, s.metrics, s.incidents)
	s.auditor = newAuditor(subjects, Options{Settle: settle, Repair: true, Found: s.count})
	s.redisTriesMax, s.suspectsMax = 1, sampleSuspectsMax-pageSize
	return s
}

// Repairer returns the repairer of what others than the sampler find. It shares the
// sampler's metrics.
func (s *Sampler) Repairer() *Repairer { return s.repairer }

// Collectors returns the sampler's metrics.
func (s *Sampler) Collectors() []prometheus.Collector { return s.metrics.collectors() }

func (s *Sampler) count(d Difference) {
	s.inPass[d.Kind]++
	s.incidents.found(d)
}

// Step compares one page. Call it from one goroutine at a time.
func (s *Sampler) Step(ctx context.Context) {
	s.measureOutbox(ctx)
	if err := s.sample(ctx); err != nil && ctx.Err() == nil {
		s.size = max(sampleSizeMin, s.size/2)
		s.metrics.failures.Inc()
		s.log.Debug("a step of the audit failed", "error", err)
	}
}

func (s *Sampler) sample(ctx context.Context) error {
	bounded, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	// While Redis is away it is not compared. Afterwards it gets its whole settle
	// time again.
	if s.tally.Redis = s.subjects.Redis != nil && s.subjects.Redis.Healthy(); !s.tally.Redis {
		clear(s.suspects)
	}
	if err := s.recheckSuspects(bounded); err != nil {
		return err
	}
	began := time.Now()
	size := s.size
	ids, err := s.subjects.Levels.ProductIDs(bounded, s.after, size)
	if err != nil {
		return err
	}
	if err := s.comparePage(bounded, s.after, ids, sampleWindow); err != nil {
		return err
	}
	s.metrics.products.Add(float64(len(ids)))
	s.report.products.Add(int64(len(ids)))
	s.resize(time.Since(began))
	if len(ids) > 0 {
		s.after = ids[len(ids)-1]
	}
	if err := s.repairFound(ctx); err != nil {
		return err
	}
	if len(ids) == size {
		return nil
	}
	return s.endPass(ctx)
}

// repairFound repairs what the page and the suspects have shown to be wrong. What
// cannot be repaired now is found again in the next pass.
func (s *Sampler) repairFound(ctx context.Context) error {
	if len(s.wrong) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	wrong, before := s.wrong, s.tally.Repaired
	err := s.repair(ctx)
	s.wrong = nil
	s.metrics.repair(s.tally.Repaired - before)
	if err != nil {
		return err
	}
	for _, id := range wrong {
		s.incidents.ended(id)
	}
	return nil
}

// resize fits the next page to the time that the last one took.
func (s *Sampler) resize(took time.Duration) {
	if took < stepTarget/2 {
		s.size = min(sampleSizeMax, 2*s.size)
	} else if took > 2*stepTarget {
		s.size = max(sampleSizeMin, s.size/2)
	}
}

// endPass compares the open reservations, and begins with the first product
// again.
func (s *Sampler) endPass(ctx context.Context) error {
	last := s.after
	s.after = ""
	if last != "" {
		if err := s.sampleReservations(ctx, database.Span{Through: last}); err != nil {
			return err
		}
	}
	for _, kind := range kinds {
		s.metrics.lastPass.WithLabelValues(string(kind)).Set(float64(s.inPass[kind]))
	}
	s.metrics.passEnd.SetToCurrentTime()
	s.report.passed(s.inPass)
	s.metrics.passSeconds.Set(time.Since(s.passBegan).Seconds())
	s.incidents.passed(time.Since(s.passBegan))
	// If the next pass does not compare reservations, their counts stay.
	s.inPass = map[DifferenceKind]int64{Reserved: s.inPass[Reserved], Committed: s.inPass[Committed]}
	s.tally.Differences, s.passBegan = map[DifferenceKind]int64{}, time.Now()
	return nil
}

// sampleReservations compares open reservations with the levels, unless that took
// long a short while ago.
func (s *Sampler) sampleReservations(ctx context.Context, span database.Span) error {
	began := time.Now()
	if began.Before(s.resumeAt) {
		return nil
	}
	s.inPass[Reserved], s.inPass[Committed] = 0, 0
	ctx, cancel := context.WithTimeout(ctx, reservationsTimeout)
	defer cancel()
	err := s.compareReservations(ctx, span)
	s.resumeAt = time.Now().Add(reservationsRest * time.Since(began))
	return err
}

// measureOutbox measures how many changes wait for the relay, and for how long the
// oldest of them has been seen there.
func (s *Sampler) measureOutbox(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	oldest, rows, err := s.subjects.Levels.OutboxBacklog(ctx)
	if err != nil {
		return // the step itself meets the same error and reports it
	}
	if now := time.Now(); rows == 0 || oldest != s.oldestRow {
		s.oldestRow, s.oldestSince = oldest, now
	}
	s.metrics.outboxRows.Set(float64(rows))
	lag := time.Since(s.oldestSince)
	s.metrics.relayLag.Set(lag.Seconds())
	s.report.relayLag.Store(int64(lag))
}
