package upkeep

import "sync/atomic"

// CurrentEpoch is the epoch that the last epoch check found the database in. It is
// safe for concurrent use.
type CurrentEpoch struct {
	epoch    atomic.Pointer[string]
	checkNow chan struct{}
}

// NewCurrentEpoch makes a CurrentEpoch that is not known yet.
func NewCurrentEpoch() *CurrentEpoch { return &CurrentEpoch{checkNow: make(chan struct{}, 1)} }

// Epoch returns the epoch; empty until the database was first reached.
func (e *CurrentEpoch) Epoch() string {
	if epoch := e.epoch.Load(); epoch != nil {
		return *epoch
	}
	return ""
}

// Compare starts a check when an epoch that was read from the database is not the
// current one. Empty says nothing.
func (e *CurrentEpoch) Compare(epoch string) {
	if epoch != "" && epoch != e.Epoch() {
		e.CheckNow()
	}
}

// CheckNow has the epoch checked without waiting for the next turn.
func (e *CurrentEpoch) CheckNow() {
	select {
	case e.checkNow <- struct{}{}:
	default: // a check is about to start
	}
}

// Checks receives when a check is wanted.
func (e *CurrentEpoch) Checks() <-chan struct{} { return e.checkNow }

func (e *CurrentEpoch) set(epoch string) { e.epoch.Store(&epoch) }
