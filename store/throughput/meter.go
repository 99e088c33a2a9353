package throughput

import (
	"sync"
	"time"
)

// SamplesMax is how many samples a meter keeps. With one a second, rates are means of ten
// seconds.
const SamplesMax = 11

// RateMeter keeps the last samples of some counters. The zero RateMeter is ready. It is safe for
// concurrent use.
type RateMeter struct {
	mu      sync.Mutex
	samples []counterSample // the oldest first
}

type counterSample struct {
	at     time.Time
	values []float64
}

// Sample adds the values of all counters, in the same order each time.
func (m *RateMeter) Sample(at time.Time, values ...float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) == SamplesMax {
		m.samples = append(m.samples[:0], m.samples[1:]...)
	}
	m.samples = append(m.samples, counterSample{at, values})
}

// Growth returns how much each counter grew over the samples that are kept, and over how
// many seconds; nothing before the second sample.
func (m *RateMeter) Growth() (grown []float64, seconds float64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.samples) < 2 {
		return nil, 0
	}
	first, last := m.samples[0], m.samples[len(m.samples)-1]
	grown = make([]float64, len(last.values))
	for i := range grown {
		grown[i] = last.values[i] - first.values[i]
	}
	return grown, last.at.Sub(first.at).Seconds()
}
