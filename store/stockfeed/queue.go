package stockfeed

import (
	"context"
	"sync"
)

// conflatingQueue keeps the newest value of each id. It returns ids in the
// order in which they were queued, so that an id that changes all the time does
// not delay the others. Its length is bounded by the ids of its watch.
type conflatingQueue[T any] struct {
	mu      sync.Mutex
	pending map[string]*T
	order   []string // the ids in pending
	err     error
	wake    chan struct{} // signalled when a value is pending
	closed  chan struct{} // closed when err is set
}

func newConflatingQueue[T any]() *conflatingQueue[T] {
	return &conflatingQueue[T]{
		pending: make(map[string]*T), wake: make(chan struct{}, 1), closed: make(chan struct{}),
	}
}

// put replaces the pending value of id. A closed queue takes none.
func (q *conflatingQueue[T]) put(id string, value *T) {
	q.mu.Lock()
	if q.err != nil {
		q.mu.Unlock()
		return
	}
	if _, queued := q.pending[id]; !queued {
		q.order = append(q.order, id)
	}
	q.pending[id] = value
	q.mu.Unlock()
	signal(q.wake)
}

// take waits for the next value.
func (q *conflatingQueue[T]) take(ctx context.Context) (*T, error) {
	for {
		value, err := q.tryTake()
		if value != nil || err != nil {
			return value, err
		}
		select {
		case <-q.wake:
		case <-q.closed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryTake returns the next value, or nil if none is pending.
func (q *conflatingQueue[T]) tryTake() (*T, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return nil, q.err
	}
	if len(q.order) == 0 {
		return nil, nil
	}
	id := q.order[0]
	q.order = q.order[1:]
	value := q.pending[id]
	delete(q.pending, id)
	if len(q.order) > 0 {
		signal(q.wake) // another goroutine may wait in take
	}
	return value, nil
}

// close makes take return err from now on. Only the first error counts.
func (q *conflatingQueue[T]) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
		q.pending, q.order = nil, nil
		close(q.closed)
	}
}
