package store

import (
	"context"
	"errors"
	"sync"

	"onhand/models"
)

// batcher joins what concurrent callers ask for into batches: while a flight
// is under way the next batch gathers. Repeated ids are asked for once. A
// caller that gives up leaves; the batch flies on for the others, under a
// context of its own.
type batcher[V any] struct {
	// fly answers a batch of distinct ids, values in their order. Callers go on
	// as soon as it calls land; what it does after that still counts as its
	// flight.
	fly func(ctx context.Context, ids []string, land func([]V, error))
	// flightsMax is how many batches may be under way at once.
	flightsMax int
	// batchMax bounds the ids of one batch; waitingMax, the batches in line.
	batchMax, waitingMax int

	mu      sync.Mutex
	flights int
	waiting []*batch[V]
	flying  map[string]*batch[V]
}

type batch[V any] struct {
	ids    []string
	index  map[string]int
	landed chan struct{}
	values []V
	err    error
}

// errCrowded: more is asked than the bounds allow.
var errCrowded = models.Unavailable("too many reads are waiting; try again", nil)

// load asks for ids (distinct or not) and returns values in their order. With
// join, an answer that is already on its way will do; without, the read starts
// after this call.
func (b *batcher[V]) load(ctx context.Context, ids []string, join bool) ([]V, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	seats, err := b.seat(ids, join)
	if err != nil {
		return nil, err
	}
	values := make([]V, len(ids))
	for i, seat := range seats {
		select {
		case <-seat.landed:
		default:
			select {
			case <-seat.landed:
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}
		if seat.err != nil {
			return nil, seat.err
		}
		values[i] = seat.values[seat.index[ids[i]]]
	}
	return values, nil
}

// seat finds each id a place in a batch, and starts a flight if one may.
func (b *batcher[V]) seat(ids []string, join bool) ([]*batch[V], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seats := make([]*batch[V], len(ids))
	for i, id := range ids {
		if flying := b.flying[id]; join && flying != nil {
			seats[i] = flying
			continue
		}
		seat := b.waitingSeat(id)
		if seat == nil {
			return nil, errCrowded
		}
		seats[i] = seat
	}
	b.launch()
	return seats, nil
}

func (b *batcher[V]) waitingSeat(id string) *batch[V] {
	for _, w := range b.waiting {
		if _, ok := w.index[id]; ok {
			return w
		}
	}
	n := len(b.waiting)
	if n == 0 || len(b.waiting[n-1].ids) >= b.batchMax {
		if n >= b.waitingMax {
			return nil
		}
		b.waiting = append(b.waiting, &batch[V]{index: map[string]int{}, landed: make(chan struct{})})
		n++
	}
	last := b.waiting[n-1]
	last.index[id] = len(last.ids)
	last.ids = append(last.ids, id)
	return last
}

// launch starts waiting batches while flights are free. Callers hold mu.
func (b *batcher[V]) launch() {
	for b.flights < b.flightsMax && len(b.waiting) > 0 {
		next := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.flights++
		if b.flying == nil {
			b.flying = map[string]*batch[V]{}
		}
		for _, id := range next.ids {
			b.flying[id] = next
		}
		go b.flight(next)
	}
}

func (b *batcher[V]) flight(f *batch[V]) {
	landed := false
	land := func(values []V, err error) {
		if landed {
			return
		}
		landed = true
		if err == nil && len(values) != len(f.ids) {
			err = errors.New("a batch came back with the wrong number of values")
		}
		f.values, f.err = values, err
		close(f.landed)
	}
	defer func() {
		if p := recover(); p != nil {
			land(nil, errors.New("a batch of reads panicked"))
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, id := range f.ids {
			if b.flying[id] == f {
				delete(b.flying, id)
			}
		}
		b.flights--
		b.launch()
	}()
	b.fly(context.Background(), f.ids, land)
	land(nil, errors.New("a batch of reads never landed"))
}
