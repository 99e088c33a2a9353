package store

import (
	"context"
	"errors"
	"slices"
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
	over    uint64      // flights that have ended
	recent  []*batch[V] // the last of them, at most recentMax
}

// recentMax is how many flights may end between a caller's ticket and his load
// that would still have had room for him. One is usual: the flight that filled
// Redis a moment after he looked there.
const recentMax = 4

// ticket is a moment in a batcher's time: how many flights had ended.
type ticket uint64

// now is the present moment.
func (b *batcher[V]) now() ticket {
	b.mu.Lock()
	defer b.mu.Unlock()
	return ticket(b.over)
}

type batch[V any] struct {
	ids    []string
	index  map[string]int
	landed chan struct{}
	values []V
	err    error
	ended  uint64 // which flight it was to end; 0 before
}

// errCrowded: more is asked than the bounds allow.
var errCrowded = models.Unavailable("too many reads are waiting; try again", nil)

// load asks for ids (distinct or not) and returns values in their order, by a
// read that starts after this call.
func (b *batcher[V]) load(ctx context.Context, ids []string) ([]V, error) {
	return b.await(ctx, ids, b.fresh)
}

// join is load where an answer will do that is already on its way, or that came
// after the ticket was taken.
func (b *batcher[V]) join(ctx context.Context, ids []string, since ticket) ([]V, error) {
	return b.await(ctx, ids, func(id string) *batch[V] { return b.known(id, since) })
}

// fresh knows no answer.
func (b *batcher[V]) fresh(string) *batch[V] { return nil }

// known is a flight with the id that is under way or has ended since. Callers
// hold mu.
func (b *batcher[V]) known(id string, since ticket) *batch[V] {
	if flying := b.flying[id]; flying != nil {
		return flying
	}
	for i := len(b.recent) - 1; i >= 0 && b.recent[i].ended > uint64(since); i-- {
		if _, ok := b.recent[i].index[id]; ok && b.recent[i].err == nil {
			return b.recent[i]
		}
	}
	return nil
}

func (b *batcher[V]) await(ctx context.Context, ids []string, known func(id string) *batch[V]) ([]V, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	seats, err := b.seat(ids, known)
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
func (b *batcher[V]) seat(ids []string, known func(id string) *batch[V]) ([]*batch[V], error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	seats := make([]*batch[V], len(ids))
	for i, id := range ids {
		seat := known(id)
		if seat == nil {
			seat = b.waitingSeat(id)
		}
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
		b.over++
		f.ended = b.over
		b.recent = append(b.recent, f)
		if len(b.recent) > recentMax {
			b.recent = slices.Delete(b.recent, 0, 1) // which clears what it held
		}
		b.launch()
	}()
	b.fly(context.Background(), f.ids, land)
	land(nil, errors.New("a batch of reads never landed"))
}
