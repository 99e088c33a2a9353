package store

import "sync"

// bell tells everybody who waits that this process has written.
type bell struct {
	ended chan struct{} // closed by end

	mu   sync.Mutex
	rung chan struct{} // closed by the next ring
	over bool
}

func newBell() *bell { return &bell{ended: make(chan struct{}), rung: make(chan struct{})} }

// next is closed by the next ring.
func (b *bell) next() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.rung
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.rung)
	b.rung = make(chan struct{})
}

// end may be called more than once.
func (b *bell) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		close(b.ended)
	}
}
