package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/models"
	"onhand/models/owner"
)

// The variants of limits of holders. Each reservation is that of another holder.
const (
	limitsOff     = "without limits"
	limitsOn      = "with limits, a first reservation each"
	limitsCounted = "with limits, a counted reservation each"
)

// countedTTL is longer than a reservation may live that is not counted.
const countedTTL = 2 * time.Hour

// holdersWorkload compares limits of holders with none, in the worst case: every holder is
// new.
func holdersWorkload() workload {
	return workload{name: "holders 512", callers: 512, open: openHolders, rows: []row{
		{Ours: limitsOn, Beside: limitsOff, Aim: 0.95}, {Ours: limitsCounted, Beside: limitsOff},
	}}
}

// openHolders makes the variants, each with a store and a database of its own.
func openHolders(ctx context.Context, c *measureCommand, _ workload, is wanted) (list []variant, closeAll func() error, err error) {
	baskets, err := hotBaskets(c)
	if err != nil {
		return nil, nil, err
	}
	var v variants
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	for _, kind := range []struct {
		name    string
		without []string
		ttl     time.Duration
	}{{limitsOff, []string{"holder-limits"}, fixture.TTL}, {limitsOn, nil, fixture.TTL}, {limitsCounted, nil, countedTTL}} {
		if !is(kind.name) {
			continue
		}
		f, err := fixture.Open(ctx, c.servers, c.newName("stock"), baskets.Products, slices.Concat(c.Without, kind.without))
		if err != nil {
			return nil, nil, err
		}
		v.atEnd(func() error { return f.Close(context.WithoutCancel(ctx)) })
		v.add(kind.name, reserveForHolders(f.Store.Write, baskets.List, kind.ttl), f.Audit, f.Vacuum)
	}
	return v.list, v.close, nil
}

// reserveForHolders calls a writer as the API does, with a new holder for each reservation.
func reserveForHolders(write writeFunc, baskets []loadgen.Basket, ttl time.Duration) func(*loadgen.Worker) error {
	return func(w *loadgen.Worker) error {
		basket, key := w.Choose(baskets), w.Key()
		result, err := write(w.Own, models.Reserve{IdempotencyKey: key, Lines: basket.Lines, TTL: ttl, Holder: owner.OfSubject(key)})
		if err != nil {
			return err
		}
		if result.Reservation == nil || result.Replayed || len(result.Errors) > 0 {
			return fmt.Errorf("a reservation was not made: %+v", result)
		}
		w.Acknowledge(basket)
		return nil
	}
}
