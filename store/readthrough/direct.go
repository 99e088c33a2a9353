package readthrough

import (
	"context"
	"errors"
	"fmt"

	"onhand/tracing"
)

// begin reports whether the caller may read these ids itself, because nobody is waiting.
// Then one batch more is in flight. An id that it repeats is read again, which costs less
// than to look for repeated ids.
func (b *batcher[V]) begin(ids []string) bool {
	if len(ids) == 0 || len(ids) > b.idsMax {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.running == b.inFlightMax || len(b.waiting) > 0 {
		return false
	}
	b.running++
	return true
}

// readDirectly reads ids after begin. A panic, or a read that never answers, is an
// error.
func (b *batcher[V]) readDirectly(caller tracing.RecordedSpan, ids []string) (values []V, err error) {
	defer b.release()
	ctx := context.Background()
	if caller.Recorded() {
		var callers tracing.Callers
		callers.Add(caller)
		var span tracing.RecordedSpan
		ctx, span = callers.Start(ctx, b.name)
		defer span.End()
		span.Int("onhand.products", len(ids))
	}
	defer func() {
		if p := recover(); p != nil {
			values, err = nil, fmt.Errorf("a read panicked: %v", p)
		}
	}()
	err = errors.New("a read returned without an answer")
	b.read(ctx, ids, func(found []V, fault error) { values, err = found, fault })
	if err == nil && len(values) != len(ids) {
		return nil, errors.New("a read returned the wrong number of values")
	}
	return values, err
}
