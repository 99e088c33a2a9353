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

// NewEventCounts returns counts of zero. Events of unknown labels count as other.
func NewEventCounts(other string, labels ...string) *EventCounts {
	c := &EventCounts{counts: map[string]uint64{other: 0}, other: other}
	for _, label := range labels {
		c.counts[label] = 0
	}
	return c
}

// Count counts one event.
func (c *EventCounts) Count(label string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.counts[label]; !known {
		label = c.other
	}
	c.counts[label]++
}

// Counts returns all counts.
func (c *EventCounts) Counts() map[string]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}
