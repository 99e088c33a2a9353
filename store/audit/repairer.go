package audit

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"onhand/store/backoff"
)

// Bounds of the repairer.
const (
	// repairDelay is how long a round waits for more sightings, so that sightings of
	// a busy product cost ten reads of the database a second at most.
	repairDelay = 100 * time.Millisecond
	// repairTimeout bounds one round, and the repairs of one step of the sampler.
	repairTimeout = 5 * time.Second
	// repairRetry is the wait after a round that failed, before jitter.
	repairRetry = time.Second
	// sightingsMax bounds the sightings that wait. One beyond that is left out and comes again
	// with the next write of its product, or is found by the sampler.
	sightingsMax = 1000
)

// sighting is a version that was found in Redis, or came from there.
type sighting struct {
	epoch   string
	version int64
}

// in is the version if it is of that epoch, else 0.
func (s sighting) in(epoch string) int64 {
	if s.epoch != epoch {
		return 0
	}
	return s.version
}

// Repairer repairs products of which a writer, a reader or a subscriber has seen a
// version that seemed to be ahead of the database. Mostly it was not: the commits
// of two instances had reached Redis in reverse order.
type Repairer struct {
	*auditor
	metrics   *samplerMetrics
	incidents *incidents

	mu        sync.Mutex
	sightings map[string]sighting
	wake      chan struct{} // signalled when a sighting waits
}

func newRepairer(subjects Subjects, metrics *samplerMetrics, incidents *incidents) *Repairer {
	r := &Repairer{
		auditor: newAuditor(subjects, Options{Found: incidents.found}), metrics: metrics, incidents: incidents,
		sightings: map[string]sighting{}, wake: make(chan struct{}, 1),
	}
	r.redisTriesMax = 1
	return r
}

// Ahead notes a version that was seen. It does not block, and may be called from
// any goroutine.
func (r *Repairer) Ahead(productID, epoch string, version int64) {
	r.mu.Lock()
	was, known := r.sightings[productID]
	newer := !known || was.epoch != epoch || was.version < version
	if newer && (known || len(r.sightings) < sightingsMax) {
		r.sightings[productID] = sighting{epoch, version}
	}
	r.mu.Unlock()
	r.signal()
}

func (r *Repairer) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // a round is about to start
	}
}

// Run repairs round after round until ctx ends.
func (r *Repairer) Run(ctx context.Context) {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			return
		}
		if !sleep(ctx, repairDelay) {
			return
		}
		seen := r.take()
		if err := r.round(ctx, seen); err != nil && ctx.Err() == nil {
			r.metrics.failures.Inc()
			if !sleep(ctx, backoff.Jitter(repairRetry)) {
				return
			}
			for id, s := range seen {
				r.Ahead(id, s.epoch, s.version)
			}
		}
	}
}

// take empties the sightings that wait.
func (r *Repairer) take() map[string]sighting {
	r.mu.Lock()
	defer r.mu.Unlock()
	seen := r.sightings
	r.sightings = map[string]sighting{}
	return seen
}

// round reads Redis and then the database, and repairs what is ahead or contradicts
// the database. A product that Redis is only late with is left to the relay.
func (r *Repairer) round(ctx context.Context, seen map[string]sighting) error {
	ctx, cancel := context.WithTimeout(ctx, repairTimeout)
	defer cancel()
	for ids := range slices.Chunk(slices.Sorted(maps.Keys(seen)), pageSize) {
		observations, err := r.observe(ctx, ids)
		if err != nil {
			return err
		}
		var wrong []observation
		for _, o := range observations {
			if r.report(o, seen[o.id]) {
				wrong = append(wrong, o)
			}
		}
		repaired, err := r.repairObserved(ctx, wrong, seen)
		for _, id := range repaired {
			r.metrics.repair(1)
			r.incidents.ended(id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// report reports what is wrong with an observation, and whether to repair it.
func (r *Repairer) report(o observation, s sighting) bool {
	what, _ := o.remedy(s.in(o.epoch))
	f := o.finding()
	switch {
	case what == leave, what == rewrite && !f.certain:
		return false
	case f.certain:
		r.found(f.kind, o.id, "", "%s", f.detail)
	default:
		r.found(RedisAhead, o.id, "", "Redis had version %d, the database has only %d", s.version, o.version())
	}
	return true
}
