package admission

import (
	"maps"
	"sync"
)

// EventCounts counts events by their label, from a fixed set. Make it with NewEventCounts.
type EventCounts struct {
	mu     sync.Mutex
	counts map[string]uint64
	other  string
}

// NewEventCounts returns a tally of zeros. Events of unknown labels count as other.
func NewEventCounts(other string, labels ...string) *EventCounts {
	t := &EventCounts{counts: map[string]uint64{other: 0}, other: other}
	for _, label := range labels {
		t.counts[label] = 0
	}
	return t
}

// Count counts one event.
func (t *EventCounts) Count(label string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.counts[label]; !known {
		label = t.other
	}
	t.counts[label]++
}

// Counts returns all counts.
func (t *EventCounts) Counts() map[string]uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maps.Clone(t.counts)
}
