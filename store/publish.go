package store

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"onhand/models"
	"onhand/store/ledgerfeed"
	"onhand/store/nearcache"
	"onhand/store/rediscache"
	"onhand/store/stockfeed"
)

// publisher gives Redis and the subscribers of this process what was committed.
// If it fails, the change is still in the outbox, and the relay repeats it.
type publisher struct {
	cache     *rediscache.Cache
	hub       *stockfeed.Hub
	followers *ledgerfeed.Followers
	near      *nearcache.NearCache
	log       *slog.Logger

	// remote: Redis is a process of its own. It sleeps while nothing changes.
	remote bool
	waking atomic.Bool
	wakes  sync.WaitGroup

	// muted is set while nothing reads the embedded Redis: in a command that does
	// not serve. The instance that serves finds the change in the outbox.
	muted atomic.Bool
}

// Expect wakes Redis while a batch commits, so that it is awake for Publish. One round trip
// at a time; its failure changes nothing.
func (p *publisher) Expect() {
	if !p.remote || p.muted.Load() || !p.waking.CompareAndSwap(false, true) {
		return
	}
	p.wakes.Go(func() {
		defer p.waking.Store(false)
		p.cache.Wake(context.Background())
	})
}

// Publish publishes the outcome of one transaction. It returns even when it
// panics, because the callers still wait for their answers.
func (p *publisher) Publish(ctx context.Context, outcome models.Outcome) {
	defer func() {
		if value := recover(); value != nil {
			p.log.Error("a commit was not published", "panic", value, "stack", string(debug.Stack()))
		}
	}()
	if p.muted.Load() {
		return
	}
	if err := p.cache.Apply(ctx, outcome.Stocks); err != nil {
		products := make([]string, len(outcome.Stocks))
		for i, stock := range outcome.Stocks {
			products[i] = stock.ProductID
		}
		p.near.Bypass(products)
		p.log.Debug("the cache missed a commit", "products", len(products), "error", err)
	}
	// Subscribers and the near cache come after Redis: one that reads again because of a
	// new value must not find an older one there.
	p.hub.Deliver(outcome.Stocks)
	p.followers.Wake()
	p.hub.DeliverReservations(outcome.Reservations)
	var ids []string
	for _, r := range outcome.Reservations {
		if r.Version > 1 { // a new reservation has no subscriber: its id was not given out yet
			ids = append(ids, r.ID)
		}
	}
	if err := p.cache.PublishReservations(ctx, ids); err != nil {
		p.log.Debug("reservations were not published", "reservations", len(ids), "error", err)
	}
}
