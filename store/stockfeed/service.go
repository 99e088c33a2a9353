package stockfeed

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrStopped ends every watch of a hub that was stopped, and is what a stopped
// hub or relay answers.
var ErrStopped = errors.New("stopped")

// service is the common life of Hub and Relay: started once, stopped any
// number of times, gone when Stop returns.
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

// start runs run in a goroutine until it returns, which it must soon after its
// context ends.
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

// Started is closed once the service runs.
func (s *service) Started() <-chan struct{} { return s.started }

// stop ends run and waits for it. It may be called more than once, also before
// start.
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

// pause waits and tells whether ctx is still alive.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// poke signals a channel of capacity one: a signal that nobody has taken yet
// says all there is to say.
func poke(wake chan struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}
