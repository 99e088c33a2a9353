package stockfeed

import (
	"context"
	"sync"
)

// mailbox holds at most one value for each id, the latest, and hands them out
// in the order in which their ids became due: an id that changes all the time
// does not keep the others waiting.
type mailbox[T any] struct {
	mu      sync.Mutex
	pending map[string]*T
	due     []string // the ids in pending
	err     error
	wake    chan struct{} // poked when something is due
	ended   chan struct{} // closed when err is set
}

func newMailbox[T any]() *mailbox[T] {
	return &mailbox[T]{
		pending: make(map[string]*T), wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// put replaces what is pending for id.
func (m *mailbox[T]) put(id string, value *T) {
	m.mu.Lock()
	if _, waiting := m.pending[id]; !waiting {
		m.due = append(m.due, id)
	}
	m.pending[id] = value
	m.mu.Unlock()
	poke(m.wake)
}

// take waits for the next value.
func (m *mailbox[T]) take(ctx context.Context) (*T, error) {
	for {
		value, err := m.pop()
		if value != nil || err != nil {
			return value, err
		}
		select {
		case <-m.wake:
		case <-m.ended:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (m *mailbox[T]) pop() (*T, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if len(m.due) == 0 {
		return nil, nil
	}
	id := m.due[0]
	m.due = m.due[1:]
	value := m.pending[id]
	delete(m.pending, id)
	if len(m.due) > 0 {
		poke(m.wake) // for another caller of take
	}
	return value, nil
}

// end makes take answer err from now on; the first one counts.
func (m *mailbox[T]) end(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.err = err
		m.pending, m.due = nil, nil
		close(m.ended)
	}
}
