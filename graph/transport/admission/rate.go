package admission

import "time"

// MessageRate is how fast messages of one client are taken.
type MessageRate struct {
	PerSecond int // on average
	Burst     int // at once
}

// Meter measures one client's messages. The zero value is ready. Only one goroutine may
// use it.
//
// It is the generic cell rate algorithm: one time instead of a bucket and its fill.
type Meter struct {
	due     time.Duration // when the messages so far are paid for, since the stream began
	delayed time.Duration // when the messages that waited without a pause began to; 0 where none waits
}

// Take counts a message that arrived so long after the stream began. It returns how long
// the message must wait, and for how long all messages have waited.
func (m *Meter) Take(at time.Duration, rate MessageRate) (wait, sustained time.Duration) {
	each := time.Second / time.Duration(rate.PerSecond)
	m.due = max(m.due, at) + each
	if wait = m.due - at - each*time.Duration(rate.Burst); wait <= 0 {
		m.delayed = 0
		return 0, 0
	}
	if m.delayed == 0 {
		m.delayed = at
	}
	return wait, at - m.delayed
}
