package audit

import (
	"sync/atomic"
	"time"
)

// SampleReport is what the sampled audit has found so far.
type SampleReport struct {
	// Products counts those that were compared, Repairs those that were repaired in Redis.
	Products, Repairs int64
	// PassEnded is when the last whole pass ended; nil before that. Differences are those
	// that it found, by kind.
	PassEnded   *time.Time
	Differences []KindCount
	// RelayLag is how long the oldest row of the outbox has been seen there.
	RelayLag time.Duration
}

// KindCount counts differences of one kind.
type KindCount struct {
	Kind  DifferenceKind
	Count int64
}

// sampleReport collects a SampleReport. It is safe for concurrent use.
type sampleReport struct {
	products, relayLag atomic.Int64
	lastPass           atomic.Pointer[finishedPass]
}

type finishedPass struct {
	ended       time.Time
	differences []KindCount
}

// passed notes the end of a pass.
func (r *sampleReport) passed(found map[DifferenceKind]int64) {
	pass := &finishedPass{ended: time.Now()}
	for _, kind := range kinds {
		if n := found[kind]; n > 0 {
			pass.differences = append(pass.differences, KindCount{kind, n})
		}
	}
	r.lastPass.Store(pass)
}

// Report returns what has been found so far. It may be called while the sampler works.
func (s *Sampler) Report() SampleReport {
	r := SampleReport{Products: s.report.products.Load(), Repairs: s.metrics.repaired.Load(), RelayLag: time.Duration(s.report.relayLag.Load())}
	if pass := s.report.lastPass.Load(); pass != nil {
		r.PassEnded, r.Differences = &pass.ended, pass.differences
	}
	return r
}
