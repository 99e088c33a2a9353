package store

import (
	"context"
	"runtime/debug"
	"time"

	"onhand/models"
)

// Write decides one write and answers after its commit. Failures that a person
// can act on are in the result; the error is a fault.
//
// Errors: UNAVAILABLE when the database does not answer in time. The same
// idempotency key may then be sent again: it takes effect once.
func (s *Store) Write(ctx context.Context, write models.Write) (result models.WriteResult, err error) {
	defer func() { s.metrics.wrote(write, result, err) }()
	if w, ok := write.(models.Reserve); ok {
		w.DefaultTTL = s.config.TTLDefault
		write = w
	}
	if errs := write.Check(s.config.TTLMax); len(errs) > 0 {
		return models.WriteResult{Errors: errs}, nil
	}
	result, err = s.writes.Submit(ctx, write)
	if err != nil {
		return models.WriteResult{}, err
	}
	if len(result.Locations)+len(result.Channels) > 0 { // who wrote them finds them
		s.readDirectory(ctx)
	}
	err = s.fillReplayed(ctx, &result)
	return result, err
}

// tell carries what was committed to Redis and to our own watchers. Should it
// fail, the outbox still knows, and the relay will carry it; not even a panic
// keeps the callers from their answers.
func (s *Store) tell(ctx context.Context, out models.Outcome) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("a commit was not told", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	if s.embedded != nil && s.stop == nil {
		return // a command that does not serve: nobody reads its Redis, and the outbox tells who does
	}
	if err := s.cache.Apply(ctx, out.Stocks); err != nil {
		products := make([]string, len(out.Stocks))
		for i, stock := range out.Stocks {
			products[i] = stock.ProductID
		}
		s.distrust.add(products, time.Now())
		s.log.Debug("the cache was not told", "products", len(products), "error", err)
	}
	// Watchers after Redis: who reads again because of what he saw must not
	// meet an older value there.
	s.hub.Deliver(out.Stocks)
	s.written.ring()
	s.hub.DeliverReservations(out.Reservations)
	var ids []string
	for _, r := range out.Reservations {
		if r.Version > 1 { // nobody can watch one whose id has not been given out yet
			ids = append(ids, r.ID)
		}
	}
	if err := s.cache.PublishReservations(ctx, ids); err != nil {
		s.log.Debug("reservations were not announced", "reservations", len(ids), "error", err)
	}
}

// fillReplayed reads the stocks that a replayed answer only names.
func (s *Store) fillReplayed(ctx context.Context, result *models.WriteResult) error {
	if !result.Replayed || len(result.Stocks) == 0 {
		return nil
	}
	ids := make([]string, len(result.Stocks))
	for i, stock := range result.Stocks {
		ids[i] = stock.ProductID
	}
	found, err := s.load(ctx, ids)
	if err != nil {
		return err
	}
	result.Stocks = result.Stocks[:0]
	for _, stock := range found {
		if stock != nil {
			result.Stocks = append(result.Stocks, stock)
		}
	}
	return nil
}
