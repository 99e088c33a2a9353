package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
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
	limitsPerDay  = "with limits, and one of the product for each owner and day"
)

// countedTTL is longer than a reservation may live that is not counted.
const countedTTL = 2 * time.Hour

// holdersWorkload compares limits of holders with none, in the worst case: every holder is
// new.
func holdersWorkload() workload {
	return workload{name: "holders 512", callers: 512, open: openHolders, rows: []row{
		{Ours: limitsOn, Beside: limitsOff, Aim: 0.95}, {Ours: limitsCounted, Beside: limitsOff}, {Ours: limitsPerDay, Beside: limitsOn, Aim: 0.95},
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
		perDay  bool
	}{{limitsOff, []string{"holder-limits"}, fixture.TTL, false}, {limitsOn, nil, fixture.TTL, false}, {limitsCounted, nil, countedTTL, false}, {limitsPerDay, nil, fixture.TTL, true}} {
		if !is(kind.name) {
			continue
		}
		f, err := fixture.Open(ctx, c.servers, c.newName("stock"), baskets.Products, slices.Concat(c.Without, kind.without))
		if err != nil {
			return nil, nil, err
		}
		v.atEnd(func() error { return f.Close(context.WithoutCancel(ctx)) })
		if kind.perDay {
			if err = limitPerDay(ctx, f.Store.Write, baskets.Products); err != nil {
				return nil, nil, err
			}
		}
		v.add(kind.name, reserveForHolders(f.Store.Write, baskets.List, kind.ttl), f.Audit, f.Vacuum)
	}
	return v.list, v.close, nil
}

// limitPerDay gives products a limit for each owner.
func limitPerDay(ctx context.Context, write writeFunc, products []string) error {
	rows := make([]models.ProductRow, len(products))
	for i, id := range products {
		rows[i] = models.ProductRow{ProductID: id, MaxPerOwner: models.Patch[int]{Given: true, Value: new(1)}}
	}
	result, err := write(ctx, models.UpsertProducts{IdempotencyKey: "limits", Rows: rows, ErrorPolicy: models.RejectEverything})
	if err == nil && len(result.Errors) > 0 {
		err = fmt.Errorf("limits were not set: %+v", result)
	}
	return err
}

// randomHolder is a new holder. Subjects are random, so entries of an index by holder come in no order.
func randomHolder() owner.Holder { return owner.OfSubject(strconv.FormatUint(rand.Uint64(), 36)) }

// reserveForHolders calls a writer as the API does, with a new holder for each reservation.
func reserveForHolders(write writeFunc, baskets []loadgen.Basket, ttl time.Duration) func(*loadgen.Worker) error {
	return func(w *loadgen.Worker) error {
		basket, key := w.Choose(baskets), w.Key()
		result, err := write(w.Own, models.Reserve{IdempotencyKey: key, Lines: basket.Lines, TTL: ttl, Holder: randomHolder()})
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
