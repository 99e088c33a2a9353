package loaders

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

const (
	// fetchDelay is how long a fetch waits for more fields of its response. It is
	// long enough for gqlgen to start their goroutines, and far shorter than a round
	// trip.
	fetchDelay = 150 * time.Microsecond
	// delaysMax is how often a fetch waits again because a field joined it meanwhile.
	// A busy machine starts goroutines late, and a second fetch costs a round trip.
	delaysMax = 10
	// fetchMax is how many ids the store takes in one call.
	fetchMax = 1000
)

// ReadFunc reads values in the order of ids, nil for unknown ones.
type ReadFunc[V any] func(ctx context.Context, ids []string) ([]V, error)

// loader reads each id of one response once.
type loader[V any] struct {
	read ReadFunc[V]

	mu      sync.Mutex
	entries map[string]fetchEntry[V] // of every id that a field asked for
	open    *fetch[V]                // takes more ids; nil when there is none
}

// fetch is one call of the read function.
type fetch[V any] struct {
	ctx      context.Context // of the first field; all fields of a response end together
	ids      []string
	timer    *time.Timer
	fields   int // that joined
	fieldsAt int // fields when the timer last fired
	delays   int

	done   chan struct{} // closed when values and err are set
	values []V
	err    error
}

// fetchEntry is where the value of an id will be.
type fetchEntry[V any] struct {
	fetch *fetch[V]
	index int
}

func newLoader[V any](read ReadFunc[V]) *loader[V] {
	return &loader[V]{read: read, entries: map[string]fetchEntry[V]{}}
}

// load returns values in the order of ids, nil for unknown ones.
func (l *loader[V]) load(ctx context.Context, ids []string) ([]V, error) {
	values := make([]V, len(ids))
	for i, e := range l.join(ctx, ids) {
		<-e.fetch.done
		if e.fetch.err != nil {
			return nil, e.fetch.err
		}
		values[i] = e.fetch.values[e.index]
	}
	return values, nil
}

// one is load for one id.
func (l *loader[V]) one(ctx context.Context, id string) (value V, err error) {
	values, err := l.load(ctx, []string{id})
	if err != nil {
		return value, err
	}
	return values[0], nil
}

// join returns an entry for each id. It adds the ids of one call to one fetch under
// one lock, so that the timer cannot fire between them.
func (l *loader[V]) join(ctx context.Context, ids []string) []fetchEntry[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil && len(l.open.ids)+l.countNew(ids) > fetchMax {
		l.dispatch()
	}
	entries := make([]fetchEntry[V], len(ids))
	for i, id := range ids {
		e, ok := l.entries[id]
		if !ok {
			e = l.add(ctx, id)
		}
		entries[i] = e
	}
	if l.open != nil {
		l.open.fields++
	}
	return entries
}

// countNew counts ids without an entry, repeats included. The caller has locked mu.
func (l *loader[V]) countNew(ids []string) (n int) {
	for _, id := range ids {
		if _, ok := l.entries[id]; !ok {
			n++
		}
	}
	return n
}

// add adds an id to the open fetch. The caller has locked mu.
func (l *loader[V]) add(ctx context.Context, id string) fetchEntry[V] {
	if l.open == nil {
		f := &fetch[V]{ctx: ctx, fieldsAt: 1, done: make(chan struct{})}
		f.timer = time.AfterFunc(fetchDelay, func() { l.dispatchOrWait(f) })
		l.open = f
	}
	e := fetchEntry[V]{fetch: l.open, index: len(l.open.ids)}
	e.fetch.ids = append(e.fetch.ids, id)
	l.entries[id] = e
	if len(e.fetch.ids) == fetchMax {
		l.dispatch()
	}
	return e
}

// dispatchOrWait waits again where a field joined since the timer last fired, and
// dispatches otherwise.
func (l *loader[V]) dispatchOrWait(f *fetch[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != f { // full, and dispatched
		return
	}
	if f.fields > f.fieldsAt && f.delays < delaysMax {
		f.fieldsAt = f.fields
		f.delays++
		f.timer.Reset(fetchDelay)
		return
	}
	l.dispatch()
}

// dispatch closes the open fetch and starts it. The caller has locked mu.
func (l *loader[V]) dispatch() {
	f := l.open
	l.open = nil
	go f.run(l.read)
}

// run calls the read function. A panic in it becomes the error of this fetch.
func (f *fetch[V]) run(read ReadFunc[V]) {
	defer close(f.done)
	defer func() {
		if p := recover(); p != nil {
			f.err = fmt.Errorf("panic in a read function: %v\n%s", p, debug.Stack())
		}
	}()
	f.values, f.err = read(f.ctx, f.ids)
	if f.err == nil && len(f.values) != len(f.ids) {
		f.err = fmt.Errorf("a read function returned %d values for %d ids", len(f.values), len(f.ids))
	}
}
