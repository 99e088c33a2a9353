package stockfeed

import (
	"context"
	"sync"
)

// conflatingQueue keeps the newest value of each id: a reference, which all queues
// share. It returns ids in the order in which they were queued, so that an id that
// changes all the time does not delay the others. Its length is bounded by the ids of
// its watch.
type conflatingQueue[T any] struct {
	mu      sync.Mutex
	pending []queuedValue[T] // from next on; nil while the queue is empty
	next    int
	err     error
	wake    chan struct{}  // signalled when a value is pending; nil where notify is set
	closed  chan struct{}  // closed when err is set; nil where notify is set
	notify  func(now bool) // called when a value is pending or err is set; see Hub.PushStock
}

// queuedValue is the newest value of one id.
type queuedValue[T any] struct {
	id    string
	value *T
}

// newConflatingQueue makes a queue for take, or for tryTake after notify where there is
// one.
func newConflatingQueue[T any](notify func(now bool)) *conflatingQueue[T] {
	q := &conflatingQueue[T]{notify: notify}
	if notify == nil {
		q.wake, q.closed = make(chan struct{}, 1), make(chan struct{})
	}
	return q
}

// put replaces the pending value of id, and notifies. A closed queue takes none.
func (q *conflatingQueue[T]) put(id string, value *T) {
	if q.replacePending(id, value) {
		q.signal(false)
	}
}

// replacePending is put for a caller that calls signal. It reports whether the queue took
// the value.
func (q *conflatingQueue[T]) replacePending(id string, value *T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return false
	}
	q.replace(id, value)
	return true
}

// replace is put for a locked queue. A watch has few ids, and few of them are pending.
func (q *conflatingQueue[T]) replace(id string, value *T) {
	for i := q.next; i < len(q.pending); i++ {
		if q.pending[i].id == id {
			q.pending[i].value = value
			return
		}
	}
	if q.next > 0 && len(q.pending) == cap(q.pending) { // use the places that are free
		kept := copy(q.pending, q.pending[q.next:])
		clear(q.pending[kept:])
		q.pending, q.next = q.pending[:kept], 0
	}
	q.pending = append(q.pending, queuedValue[T]{id, value})
}

// signal says that something is pending. now: see Hub.PushStock.
func (q *conflatingQueue[T]) signal(now bool) {
	if q.notify != nil {
		q.notify(now)
		return
	}
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
	if q.next == len(q.pending) {
		return nil, nil
	}
	value := q.pending[q.next].value
	q.pending[q.next] = queuedValue[T]{}
	if q.next++; q.next == len(q.pending) {
		q.pending, q.next = nil, 0 // an idle queue takes no memory
	} else if q.notify == nil {
		signal(q.wake) // another goroutine may wait in take
	}
	return value, nil
}

// close makes take return err from now on. Only the first error counts.
func (q *conflatingQueue[T]) close(err error) {
	q.mu.Lock()
	first := q.err == nil
	if first {
		q.err = err
		q.pending, q.next = nil, 0
	}
	q.mu.Unlock()
	switch {
	case !first:
	case q.notify != nil:
		q.notify(false)
	default:
		close(q.closed)
	}
}
