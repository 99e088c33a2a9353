package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/models"
)

// closers collects what must be closed, the last first.
type closers []func() error

func (c *closers) atEnd(closer func() error) { *c = append(*c, closer) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	return errors.Join(errs...)
}

// fixture opens a fixture. Every variant that needs one has its own.
func (c *closers) fixture(ctx context.Context, run *measureCommand, products []string) (*fixture.Fixture, error) {
	f, err := fixture.Open(ctx, run.servers, run.newName("stock"), products, run.Without)
	if err == nil {
		c.atEnd(func() error { return f.Close(context.WithoutCancel(ctx)) })
	}
	return f, err
}

// oneEach opens a fixture with one transaction each over it.
func (c *closers) oneEach(ctx context.Context, run *measureCommand, products []string) (*fixture.Fixture, *fixture.OneEach, error) {
	f, err := c.fixture(ctx, run, products)
	if err != nil {
		return nil, nil, err
	}
	e, err := fixture.OpenOneEach(ctx, f.StoreFlags)
	if err == nil {
		c.atEnd(func() error { return e.Close(context.WithoutCancel(ctx)) })
	}
	return f, e, err
}

// variants are those of one workload, while they are opened.
type variants struct {
	closers
	list []variant
}

// add adds a variant that is called in this process.
func (v *variants) add(name string, call func(*loadgen.Worker) error,
	audit func(context.Context, loadgen.Measurement) error, vacuum func(context.Context) error,
) {
	v.list = append(v.list, variant{
		name: name, audit: audit, vacuum: vacuum, profiled: name == onhand,
		turn: func(l loadgen.Params) (loadgen.Measurement, error) { return loadgen.Run(l, "run", call) },
	})
}

// openInProcess makes the variants that are called in this process.
func openInProcess(source basketSource) opener {
	return func(ctx context.Context, c *measureCommand, _ workload, is wanted) (list []variant, closeAll func() error, err error) {
		baskets, err := source(c)
		if err != nil {
			return nil, nil, err
		}
		var v variants
		defer func() {
			if err != nil {
				err = errors.Join(err, v.close())
			}
		}()
		f, err := v.fixture(ctx, c, baskets.Products)
		if err != nil {
			return nil, nil, err
		}
		v.add(onhand, reserveWith(f.Store.Write, baskets.List), f.Audit, f.Vacuum)
		if is(transactionEach) {
			each, e, err := v.oneEach(ctx, c, baskets.Products)
			if err != nil {
				return nil, nil, err
			}
			v.add(transactionEach, reserveUntilOver(e.Write, baskets.List), each.Audit, each.Vacuum)
		}
		if err := v.addBare(ctx, c, is, baskets); err != nil {
			return nil, nil, err
		}
		if err := v.addDecrements(ctx, c, is, baskets); err != nil {
			return nil, nil, err
		}
		return v.list, v.close, nil
	}
}

func (v *variants) addBare(ctx context.Context, c *measureCommand, is wanted, baskets loadgen.Baskets) error {
	if !is(bareEach) {
		return nil
	}
	b, err := fixture.OpenBare(ctx, c.servers, c.newName("bare"), baskets.Products)
	if err != nil {
		return err
	}
	v.atEnd(func() error { return b.Close(context.WithoutCancel(ctx)) })
	v.add(bareEach, b.Reserve(baskets.List), b.Audit, b.Vacuum)
	return nil
}

func (v *variants) addDecrements(ctx context.Context, c *measureCommand, is wanted, baskets loadgen.Baskets) error {
	for _, name := range []string{luaVolatile, luaDurable} {
		if !is(name) {
			continue
		}
		server, err := c.servers.Redis, error(nil)
		if name == luaDurable {
			server, err = c.servers.DurableRedis()
		}
		if err != nil {
			return err
		}
		d, err := fixture.OpenDecrement(ctx, c.newName("lua"), server, baskets.Products)
		if err != nil {
			return err
		}
		v.atEnd(d.Close)
		v.add(name, d.Reserve(ctx, baskets.List), d.Audit, nil)
	}
	return nil
}

// write is how the API writes.
type writeFunc = func(context.Context, models.Write) (models.WriteResult, error)

// reserveWith calls a writer as the API does, and waits for every answer.
func reserveWith(write writeFunc, baskets []loadgen.Basket) func(*loadgen.Worker) error {
	return func(w *loadgen.Worker) error { return reserve(w.Own, w, write, w.Choose(baskets)) }
}

// reserveUntilOver does the same, but gives up calls that have not begun when the turn ends: at a few hundred per
// second, two thousand callers would be waited for longer than they were measured.
func reserveUntilOver(write writeFunc, baskets []loadgen.Basket) func(*loadgen.Worker) error {
	return func(w *loadgen.Worker) error { return reserve(w.Turn, w, write, w.Choose(baskets)) }
}

func reserve(ctx context.Context, w *loadgen.Worker, write writeFunc, basket loadgen.Basket) error {
	result, err := write(ctx, models.Reserve{IdempotencyKey: w.Key(), Lines: basket.Lines, TTL: fixture.TTL})
	if err != nil {
		return err
	}
	if result.Reservation == nil || result.Replayed || len(result.Errors) > 0 {
		return fmt.Errorf("a reservation was not made: %+v", result)
	}
	w.Acknowledge(basket)
	return nil
}
