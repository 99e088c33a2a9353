package readthrough

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// SharedReads joins concurrent reads of one key. At most one is in flight for a key, and
// the callers that come meanwhile share the next one. So every caller's read starts after
// its call, and sees what was committed before. The zero SharedReads is ready.
//
// It keeps nothing: there are no more keys than callers.
type SharedReads[V any] struct {
	mu    sync.Mutex
	reads map[string]*keyReads[V]
}

// keyReads are the reads of one key: one is in flight.
type keyReads[V any] struct{ next *sharedRead[V] } // nil: none waits

// sharedRead is a read for the callers that wait for it.
type sharedRead[V any] struct {
	read  func(context.Context) (V, error)
	done  chan struct{}
	value V
	err   error
}

// Load reads, or waits for a read of the same key that starts after this call. Callers
// share the value. read must not depend on more than the key, and must have a deadline.
//
// Errors: those of read, and of ctx for a caller that waits.
func (s *SharedReads[V]) Load(ctx context.Context, key string, read func(context.Context) (V, error)) (value V, err error) {
	s.mu.Lock()
	in := s.reads[key]
	if in == nil {
		if s.reads == nil {
			s.reads = map[string]*keyReads[V]{}
		}
		s.reads[key] = &keyReads[V]{}
		s.mu.Unlock()
		defer s.finish(key)
		return read(ctx)
	}
	if in.next == nil {
		in.next = &sharedRead[V]{read: read, done: make(chan struct{})}
	}
	next := in.next
	s.mu.Unlock()
	select {
	case <-next.done:
		return next.value, next.err
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
}

// finish ends the read in flight, and starts the next one if callers wait.
func (s *SharedReads[V]) finish(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.reads[key]
	if in.next == nil {
		delete(s.reads, key)
		return
	}
	next := in.next
	in.next = nil
	go s.run(key, next)
}

// run reads for the callers that wait. A panic is their error.
func (s *SharedReads[V]) run(key string, next *sharedRead[V]) {
	defer s.finish(key)
	defer close(next.done)
	next.err = errors.New("a shared read ended without an answer")
	defer func() {
		if p := recover(); p != nil {
			next.err = fmt.Errorf("a shared read panicked: %v", p)
		}
	}()
	next.value, next.err = next.read(context.Background())
}
