package admin

import (
	"context"
	"time"

	"onhand/store"
)

// lookEvery is how old an answer to a load balancer may be.
const lookEvery = time.Second

// sharedLook asks the dependencies once for all callers who want to know at the same time:
// the public listener answers everybody, and each look takes a connection from shoppers.
type sharedLook struct {
	ask  func(ctx context.Context) store.Health
	turn chan struct{} // has one place; taken during a look, whose answer those who wait get

	at     time.Time
	health store.Health
}

func newSharedLook(ask func(ctx context.Context) store.Health) *sharedLook {
	return &sharedLook{ask: ask, turn: make(chan struct{}, 1)}
}

// latest is the state of the dependencies, lookEvery ago at most.
func (l *sharedLook) latest(ctx context.Context) store.Health {
	l.turn <- struct{}{} // a look has a deadline
	defer func() { <-l.turn }()
	if l.at.IsZero() || time.Since(l.at) >= lookEvery {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), checkTimeout)
		defer cancel()
		l.health, l.at = l.ask(ctx), time.Now()
	}
	return l.health
}
