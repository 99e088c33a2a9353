package ledgerfeed

import "sync"

// broadcast wakes all followers that wait when this process has written. It is
// safe for concurrent use.
type broadcast struct {
	ended chan struct{} // closed by end

	mu   sync.Mutex
	next chan struct{} // closed by the next send
	over bool
}

func newBroadcast() *broadcast {
	return &broadcast{ended: make(chan struct{}), next: make(chan struct{})}
}

// wait returns a channel that the next send closes.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

// send wakes all that wait.
func (b *broadcast) send() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}

// end closes ended. It may be called more than once.
func (b *broadcast) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		close(b.ended)
	}
}
