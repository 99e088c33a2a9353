package loaders

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"
	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// quietTime is how long a fetch waits after the last field that joined it. gqlgen
	// starts the fields of one object together, and on an idle machine each needs some
	// microseconds until it asks. A timer would be useless: Go's network poller rounds
	// it up to a millisecond while the process is idle.
	quietTime = 20 * time.Microsecond
	// yieldsMax bounds the wait, however many fields join.
	yieldsMax = 1000
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
	ctx    context.Context // of the first field; all fields of a response end together
	ids    []string
	fields int // that joined

	done   chan struct{} // closed when values and err are set
	values []V
	err    error
}

// fetchEntry is where the value of an id will be.
type fetchEntry[V any] struct {
	fetch *fetch[V]
	index int
}

// load returns values in the order of ids, nil for unknown ones. The field that opens a
// fetch runs it.
func (l *loader[V]) load(ctx context.Context, ids []string) ([]V, error) {
	values := make([]V, len(ids))
	entries, opened := l.join(ctx, ids)
	if n := len(opened); n > 0 {
		for _, f := range opened[:n-1] { // each is full
			go f.run(l.read)
		}
		if !alone(ctx) {
			l.awaitFields(opened[n-1])
		}
		l.close(opened[n-1])
		opened[n-1].run(l.read)
	}
	for i, e := range entries {
		<-e.fetch.done
		if err := errorFor(e.fetch.err, ids[i]); err != nil {
			return nil, err
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

// join returns an entry for each id, and the fetches that it opened. It adds the ids of
// one call to one fetch under one lock, so that no other field can close it between them.
func (l *loader[V]) join(ctx context.Context, ids []string) (entries []fetchEntry[V], opened []*fetch[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil && len(l.open.ids)+l.countNew(ids) > fetchMax {
		l.open = nil
	}
	entries = make([]fetchEntry[V], len(ids))
	for i, id := range ids {
		e, ok := l.entries[id]
		if !ok {
			if l.open == nil {
				l.open = &fetch[V]{ctx: ctx, done: make(chan struct{})}
				opened = append(opened, l.open)
			}
			e = l.add(id)
		}
		entries[i] = e
	}
	if l.open != nil {
		l.open.fields++
	}
	return entries, opened
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

// add adds an id to the open fetch, and closes it when it is full. The caller has
// locked mu.
func (l *loader[V]) add(id string) fetchEntry[V] {
	if l.entries == nil {
		l.entries = map[string]fetchEntry[V]{}
	}
	e := fetchEntry[V]{fetch: l.open, index: len(l.open.ids)}
	e.fetch.ids = append(e.fetch.ids, id)
	l.entries[id] = e
	if len(e.fetch.ids) == fetchMax {
		l.open = nil
	}
	return e
}

// close lets no more fields join a fetch.
func (l *loader[V]) close(f *fetch[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open == f {
		l.open = nil
	}
}

// awaitFields yields to the fields that may still join, until none has joined for
// quietTime, the fetch is full, or it has yielded yieldsMax times.
func (l *loader[V]) awaitFields(f *fetch[V]) {
	fields, joined := 1, time.Now()
	for range yieldsMax {
		runtime.Gosched()
		l.mu.Lock()
		open, fieldsNow := l.open == f, f.fields
		l.mu.Unlock()
		now := time.Now()
		switch {
		case !open:
			return
		case fieldsNow > fields:
			fields, joined = fieldsNow, now
		case now.Sub(joined) >= quietTime:
			return
		}
	}
}

// alone reports whether no other field can ask at the same time, because the field is the
// only one of its operation's root.
func alone(ctx context.Context) bool {
	field := graphql.GetFieldContext(ctx)
	if field == nil || field.Parent == nil || field.Parent.Parent != nil || field.Parent.Index != nil {
		return false
	}
	root := graphql.GetOperationContext(ctx).Operation.SelectionSet
	if len(root) != 1 {
		return false
	}
	_, ok := root[0].(*ast.Field)
	return ok
}

// run calls the read function.
func (f *fetch[V]) run(read ReadFunc[V]) {
	defer close(f.done)
	f.values, f.err = call(f.ctx, read, f.ids)
}

// call calls a read function. A panic in it becomes an error. Beside an error for some ids
// it returns the values of the others.
func call[V any](ctx context.Context, read ReadFunc[V], ids []string) (values []V, err error) {
	defer func() {
		if p := recover(); p != nil {
			values, err = nil, fmt.Errorf("panic in a read function: %v\n%s", p, debug.Stack())
		}
	}()
	values, err = read(ctx, ids)
	if len(values) != len(ids) && errorFor(err, "") == nil {
		err = fmt.Errorf("a read function returned %d values for %d ids", len(values), len(ids))
	}
	return values, err
}
