package model

import (
	"slices"
	"sync"
	"time"
)

// History is what all customers of a scenario did. It is safe for concurrent use.
type History struct {
	began time.Time

	mu           sync.Mutex
	operations   []Operation
	acknowledged []Acknowledged
	carts        int
}

// NewHistory begins now.
func NewHistory() *History { return &History{began: time.Now()} }

// Began is when the history began.
func (h *History) Began() time.Time { return h.began }

// Now is the time of the history.
func (h *History) Now() int64 { return time.Since(h.began).Nanoseconds() }

// At is a moment of the wall clock in the time of the history. A database whose clock was moved is not on it.
func (h *History) At(moment time.Time) int64 { return moment.Sub(h.began.Round(0)).Nanoseconds() }

// NewCart numbers a cart that is about to be reserved.
func (h *History) NewCart(lines map[string]int) Cart {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.carts++
	return Cart{Number: h.carts, Lines: lines}
}

// Record adds an operation.
func (h *History) Record(o Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, o)
}

// Acknowledge adds an acknowledged write.
func (h *History) Acknowledge(a Acknowledged) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acknowledged = append(h.acknowledged, a)
}

// Position is how far a history has come, with no operation in flight. The zero value is its beginning.
type Position struct{ operations, acknowledged int }

// Position is how far the history has come.
func (h *History) Position() Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Position{len(h.operations), len(h.acknowledged)}
}

// Truncate removes everything after a position: the database has lost it.
func (h *History) Truncate(to Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations, h.acknowledged = h.operations[:to.operations], h.acknowledged[:to.acknowledged]
}

// Operations are those that were recorded.
func (h *History) Operations() []Operation {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.operations)
}

// Acknowledged are the acknowledged writes.
func (h *History) Acknowledged() []Acknowledged {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.acknowledged)
}
