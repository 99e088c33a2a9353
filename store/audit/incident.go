package audit

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bounds of incidents.
const (
	// incidentMemoryMin is for how long at least a difference that is found again is
	// the same incident.
	incidentMemoryMin = 10 * time.Minute
	// incidentsMax bounds the incidents that are remembered. Beyond it a difference is
	// counted in every pass.
	incidentsMax = 10_000
	// incidentLinesMax bounds the lines of the log in one incidentLogInterval. All
	// incidents are counted.
	incidentLinesMax    = 20
	incidentLogInterval = time.Minute
)

// incident is a difference from when it was first found until it is repaired, or is
// not found again for a while.
type incident struct {
	kind              DifferenceKind
	product, location string
}

// incidents counts and logs each incident once. It is safe for concurrent use.
type incidents struct {
	differences *prometheus.CounterVec
	log         *slog.Logger

	mu         sync.Mutex
	lastFound  map[incident]time.Time
	memory     time.Duration
	lines      int // logged since linesBegan
	linesBegan time.Time
	now        func() time.Time // time.Now, but for tests
}

func newIncidents(differences *prometheus.CounterVec, log *slog.Logger) *incidents {
	return &incidents{differences: differences, log: log, lastFound: map[incident]time.Time{}, memory: incidentMemoryMin, now: time.Now}
}

// found counts and logs a difference, unless it belongs to a known incident.
func (i *incidents) found(d Difference) {
	isNew, isLogged := i.note(d)
	if isNew {
		i.differences.WithLabelValues(string(d.Kind)).Inc()
	}
	if isLogged {
		i.log.Warn("the audit found a difference", "difference", d.String())
	}
}

func (i *incidents) note(d Difference) (isNew, isLogged bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, key := i.now(), incident{d.Kind, d.ProductID, d.LocationID}
	last, known := i.lastFound[key]
	if known || len(i.lastFound) < incidentsMax {
		i.lastFound[key] = now
	}
	if known && now.Sub(last) < i.memory {
		return false, false
	}
	if now.Sub(i.linesBegan) >= incidentLogInterval {
		i.lines, i.linesBegan = 0, now
	}
	i.lines++
	return true, i.lines <= incidentLinesMax
}

// ended forgets a product's incidents in Redis: they are repaired, and the next
// one is new.
func (i *incidents) ended(product string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, kind := range []DifferenceKind{RedisBehind, RedisAhead, RedisEpoch, RedisContent} {
		delete(i.lastFound, incident{kind: kind, product: product})
	}
}

// passed forgets incidents that were not found again in about two passes. took is the
// length of one pass over all products.
func (i *incidents) passed(took time.Duration) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.memory = max(incidentMemoryMin, 2*took)
	for key, last := range i.lastFound {
		if i.now().Sub(last) >= i.memory {
			delete(i.lastFound, key)
		}
	}
}
