package readthrough

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"onhand/models"
	"onhand/tracing"
)

// recentMax is how many finished batches are kept for callers that looked into
// Redis before them, such as the batch that filled Redis a moment after the caller
// had looked there.
const recentMax = 4

// errTooManyWaiting answers a caller for whom there is no room in a batch.
var errTooManyWaiting = models.Unavailable("too many reads are waiting; try again", nil)

// batcher joins the ids of concurrent callers into batches. While inFlightMax batches are
// in flight, the next one collects ids. Each id of a batch is asked for once. A
// caller that gives up leaves; its batch goes on for the others, under a context
// of its own.
type batcher[V any] struct {
	// name is that of the span of a batch.
	name string
	// read answers a batch of distinct ids, with values in their order. The callers
	// go on as soon as it calls answer, and the next batch may begin. Until it returns,
	// others may join the batch.
	read func(ctx context.Context, ids []string, answer func([]V, error))
	// inFlightMax bounds the batches in flight that have no answer yet.
	inFlightMax int
	// direct: a caller that need not wait for others calls read itself, which saves two
	// switches of goroutines. It cannot leave before read returns, so that read must be
	// short.
	direct bool
	// idsMax bounds the ids of one batch; waitingMax, the batches that wait.
	idsMax, waitingMax int

	mu       sync.Mutex
	running  int // batches without an answer
	waiting  []*readBatch[V]
	inFlight map[string]*readBatch[V] // by id; nil if direct: nobody joins
	finished finishCount
	recent   []*readBatch[V] // finished last, at most recentMax
	spare    map[string]int  // empty: the index of an earlier batch
}

// finishCount counts the finished batches of a batcher. It serves as a clock:
// two counts tell which batches finished between them.
type finishCount uint64

// readBatch is a batch of ids and, once answered is closed, their values.
type readBatch[V any] struct {
	ids        []string
	index      map[string]int // of each id in ids
	answered   chan struct{}
	values     []V
	err        error
	finishedAs finishCount // the batcher's count when it finished; 0 before
	callers    tracing.Callers
}

// now returns the count of finished batches.
func (b *batcher[V]) now() finishCount {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.finished
}

// load reads ids, which may repeat, by a read that starts after this call. It
// returns the values in the order of ids.
func (b *batcher[V]) load(ctx context.Context, ids []string) ([]V, error) {
	if b.direct && b.begin(ids) {
		return b.readDirectly(tracing.Current(ctx), ids)
	}
	return b.await(ctx, ids, func(string) *readBatch[V] { return nil })
}

// join is load, but also takes the answer of a batch that is in flight, or that
// finished after since.
func (b *batcher[V]) join(ctx context.Context, ids []string, since finishCount) ([]V, error) {
	return b.await(ctx, ids, func(id string) *readBatch[V] { return b.startedWith(id, since) })
}

// startedWith finds a batch with the id that is in flight, or that finished after
// since without an error. Callers hold mu.
func (b *batcher[V]) startedWith(id string, since finishCount) *readBatch[V] {
	if batch := b.inFlight[id]; batch != nil {
		return batch
	}
	for _, batch := range slices.Backward(b.recent) {
		if batch.finishedAs <= since {
			return nil
		}
		if _, ok := batch.index[id]; ok && batch.err == nil {
			return batch
		}
	}
	return nil
}

// place is where the value of an id will be.
type place[V any] struct {
	batch *readBatch[V]
	index int
}

func (b *batcher[V]) await(ctx context.Context, ids []string, started func(id string) *readBatch[V]) ([]V, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	places, err := b.assign(ids, tracing.Current(ctx), started)
	if err != nil {
		return nil, err
	}
	values := make([]V, len(ids))
	var last *readBatch[V] // answered
	for i, at := range places {
		if at.batch != last {
			if err := at.batch.await(ctx); err != nil {
				return nil, err
			}
			last = at.batch
		}
		values[i] = last.values[at.index]
	}
	return values, nil
}

// await waits for the values. The error is that of the batch or of ctx.
func (batch *readBatch[V]) await(ctx context.Context) error {
	select {
	case <-batch.answered: // preferred to a context that ended at the same time
	default:
		select {
		case <-batch.answered:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return batch.err
}

// assign finds a batch for each id, and dispatches what may be dispatched.
func (b *batcher[V]) assign(ids []string, caller tracing.RecordedSpan, started func(id string) *readBatch[V]) ([]place[V], error) {
	places := make([]place[V], len(ids))
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, id := range ids {
		if batch := started(id); batch != nil {
			places[i] = place[V]{batch, batch.index[id]}
			continue
		}
		var ok bool
		if places[i], ok = b.enqueue(id); !ok {
			return nil, errTooManyWaiting
		}
	}
	if caller.Recorded() {
		noteCaller(caller, places)
	}
	b.dispatch()
	return places, nil
}

// noteCaller adds a caller to the batches of its ids.
func noteCaller[V any](caller tracing.RecordedSpan, places []place[V]) {
	var last *readBatch[V]
	for _, at := range places {
		if at.batch != last {
			at.batch.callers.Add(caller)
			last = at.batch
		}
	}
}

// enqueue finds a waiting batch with the id, or adds it to the last one. It
// fails when there is no room. Callers hold mu.
func (b *batcher[V]) enqueue(id string) (at place[V], ok bool) {
	for _, batch := range b.waiting {
		if index, ok := batch.index[id]; ok {
			return place[V]{batch, index}, true
		}
	}
	n := len(b.waiting)
	if n == 0 || len(b.waiting[n-1].ids) >= b.idsMax {
		if n >= b.waitingMax {
			return at, false
		}
		b.waiting = append(b.waiting, &readBatch[V]{index: b.newIndex(), answered: make(chan struct{})})
		n++
	}
	last := b.waiting[n-1]
	at = place[V]{last, len(last.ids)}
	last.index[id] = at.index
	last.ids = append(last.ids, id)
	return at, true
}

// newIndex returns an empty index, if possible one that has the size for a batch already.
// Callers hold mu.
func (b *batcher[V]) newIndex() map[string]int {
	index := b.spare
	b.spare = nil
	if index == nil {
		index = map[string]int{}
	}
	return index
}

// dispatch sends waiting batches while inFlightMax permits it. Callers hold mu.
func (b *batcher[V]) dispatch() {
	for b.running < b.inFlightMax && len(b.waiting) > 0 {
		next := b.waiting[0]
		b.waiting = b.waiting[1:]
		b.running++
		if b.direct { // its callers know their places, and nobody else looks for it
			clear(next.index)
			b.spare, next.index = next.index, nil
		} else {
			if b.inFlight == nil {
				b.inFlight = map[string]*readBatch[V]{}
			}
			for _, id := range next.ids {
				b.inFlight[id] = next
			}
		}
		ctx, span := next.callers.Start(context.Background(), b.name)
		go b.run(ctx, next, span)
	}
}

// run reads a batch. A panic, or a read that never answers, is an error of its
// callers.
func (b *batcher[V]) run(ctx context.Context, batch *readBatch[V], span tracing.RecordedSpan) {
	defer span.End()
	span.Int("onhand.products", len(batch.ids))
	answered := false
	answer := func(values []V, err error) {
		if answered {
			return
		}
		answered = true
		if err == nil && len(values) != len(batch.ids) {
			err = errors.New("a batch of reads returned the wrong number of values")
		}
		if batch.values, batch.err = values, err; err != nil {
			span.Fail("the read failed")
		}
		close(batch.answered)
		b.release()
	}
	defer func() {
		if p := recover(); p != nil {
			answer(nil, fmt.Errorf("a batch of reads panicked: %v", p))
		}
		b.finish(batch)
	}()
	b.read(ctx, batch.ids, answer)
	answer(nil, errors.New("a batch of reads returned without an answer"))
}

// release ends the part of a batch that bounds others, and dispatches the next.
func (b *batcher[V]) release() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.running--
	b.dispatch()
}

// finish takes a batch out of those that others may join.
func (b *batcher[V]) finish(batch *readBatch[V]) {
	if b.direct {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range batch.ids {
		if b.inFlight[id] == batch {
			delete(b.inFlight, id)
		}
	}
	b.finished++
	batch.finishedAs = b.finished
	b.recent = append(b.recent, batch)
	if len(b.recent) > recentMax {
		b.recent = slices.Delete(b.recent, 0, 1) // which also clears the slot it frees
	}
}
