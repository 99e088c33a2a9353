package checker

import (
	"sync"
	"time"
)

// outageRecovery is how long after an outage work that was due in it may take: instances reconnect, and it has piled up.
const outageRecovery = 5 * time.Second

// Outages are the times in which a server was away or frozen. They are safe for concurrent use.
type Outages struct {
	mu   sync.Mutex
	list []outage
}

type outage struct{ from, to time.Time }

// Add adds one.
func (o *Outages) Add(from, to time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.list = append(o.list, outage{from, to})
}

// late is by how much work that was due at a moment may be late: usual, unless a server was away then.
func (o *Outages) late(due time.Time, usual time.Duration) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, out := range o.list {
		if due.After(out.from.Add(-usual)) && due.Before(out.to.Add(usual)) {
			usual = max(usual, out.to.Sub(due)+outageRecovery)
		}
	}
	return usual
}
