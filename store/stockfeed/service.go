package stockfeed

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStopped ends the watches of a stopped hub. A stopped hub or relay returns
// it.
var ErrStopped = errors.New("stopped")

// service starts and stops the goroutine of a Hub or a Relay. It starts once
// and may be stopped any number of times.
type service struct {
	mu      sync.Mutex
	cancel  context.CancelFunc // nil until started
	stopped bool
	started chan struct{} // closed once run was called
	done    chan struct{} // closed when run has returned
}

func newService() service {
	return service{started: make(chan struct{}), done: make(chan struct{})}
}

// start calls run in a goroutine. run must return soon after its context ends.
func (s *service) start(ctx context.Context, run func(context.Context)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return ErrStopped
	}
	if s.cancel != nil {
		return errors.New("already started")
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.done)
		close(s.started)
		run(ctx)
	}()
	return nil
}

// stop ends run and waits until it has returned. It may be called more than
// once, also before start.
func (s *service) stop() {
	s.mu.Lock()
	s.stopped = true
	cancel := s.cancel
	s.mu.Unlock()
	if cancel != nil {
		cancel()
		<-s.done
	}
}

// sleep waits for d. It returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// signal sends to a channel of capacity one. A signal that was not received yet
// is enough.
func signal(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
