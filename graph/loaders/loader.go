package loaders

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// wait is how long a batch waits for more fields of its response: long enough
// for gqlgen to start their goroutines, far shorter than a round trip.
const wait = 150 * time.Microsecond

// waitsMax is how often a batch waits again because something came meanwhile:
// a busy machine starts goroutines late, and one late read is a round trip.
const waitsMax = 10

// batchMax is the store's own bound of a batch.
const batchMax = 1000

// Reader reads values: in the order asked, nil for what is unknown.
type Reader[V any] func(ctx context.Context, ids []string) ([]V, error)

// loader reads each id of one response once. What one field asks for goes into
// one batch as a whole, so that a list is never cut in two by the clock.
type loader[V any] struct {
	read Reader[V]

	mu    sync.Mutex
	seats map[string]seat[V] // of every id that was ever asked for
	open  *batch[V]          // still taking ids; nil when none is
}

// batch is one call of the reader.
type batch[V any] struct {
	ctx    context.Context // of the field that began it; all fields of a response end together
	ids    []string
	timer  *time.Timer
	fields int // that asked while it was open
	seen   int // fields at the last look
	waits  int

	done   chan struct{} // closed when values and err are there
	values []V
	err    error
}

// seat is the place of an id in its batch.
type seat[V any] struct {
	batch *batch[V]
	at    int
}

func newLoader[V any](read Reader[V]) *loader[V] {
	return &loader[V]{read: read, seats: map[string]seat[V]{}}
}

// load gives values in the order asked, nil for what is unknown.
func (l *loader[V]) load(ctx context.Context, ids []string) ([]V, error) {
	values := make([]V, len(ids))
	for i, s := range l.seated(ctx, ids) {
		<-s.batch.done
		if s.batch.err != nil {
			return nil, s.batch.err
		}
		values[i] = s.batch.values[s.at]
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

// seated finds a seat for each id.
func (l *loader[V]) seated(ctx context.Context, ids []string) []seat[V] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != nil && len(l.open.ids)+l.unseated(ids) > batchMax {
		l.launch()
	}
	seats := make([]seat[V], len(ids))
	for i, id := range ids {
		s, ok := l.seats[id]
		if !ok {
			s = l.add(ctx, id)
		}
		seats[i] = s
	}
	if l.open != nil {
		l.open.fields++
	}
	return seats
}

// unseated counts ids without a seat, repeats included. Callers hold mu.
func (l *loader[V]) unseated(ids []string) (n int) {
	for _, id := range ids {
		if _, ok := l.seats[id]; !ok {
			n++
		}
	}
	return n
}

// add puts an id into the open batch. Callers hold mu.
func (l *loader[V]) add(ctx context.Context, id string) seat[V] {
	if l.open == nil {
		b := &batch[V]{ctx: ctx, seen: 1, done: make(chan struct{})}
		b.timer = time.AfterFunc(wait, func() { l.look(b) })
		l.open = b
	}
	s := seat[V]{batch: l.open, at: len(l.open.ids)}
	s.batch.ids = append(s.batch.ids, id)
	l.seats[id] = s
	if len(s.batch.ids) == batchMax {
		l.launch()
	}
	return s
}

// look waits again where more came since the last look, and reads where not.
func (l *loader[V]) look(b *batch[V]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open != b { // full, and under way
		return
	}
	if b.fields > b.seen && b.waits < waitsMax {
		b.seen = b.fields
		b.waits++
		b.timer.Reset(wait)
		return
	}
	l.launch()
}

// launch closes the open batch and reads it. Callers hold mu.
func (l *loader[V]) launch() {
	b := l.open
	l.open = nil
	go b.fly(l.read)
}

// fly reads the batch. A panic ends the reads of this response, not the
// server.
func (b *batch[V]) fly(read Reader[V]) {
	defer close(b.done)
	defer func() {
		if p := recover(); p != nil {
			b.err = fmt.Errorf("panic in a reader: %v\n%s", p, debug.Stack())
		}
	}()
	b.values, b.err = read(b.ctx, b.ids)
	if b.err == nil && len(b.values) != len(b.ids) {
		b.err = fmt.Errorf("a reader gave %d values for %d ids", len(b.values), len(b.ids))
	}
}
