package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"onhand/models"
)

// scenes lists everything that is measured, with the aims.
func scenes() []scene {
	var list []scene
	for _, hot := range []struct {
		callers int
		aims    [4]float64
	}{{64, [4]float64{25, 16, 0.45, 0.8}}, {512, [4]float64{55, 40, 1.0, 1.5}}, {2048, [4]float64{65, 45, 1.3, 2.5}}} {
		list = append(list, scene{
			name: fmt.Sprintf("hot %d", hot.callers), callers: hot.callers, open: openDirect([]string{"hot"}, nil),
			rows: []row{{beside: oneEach, aim: hot.aims[0]}, {beside: oneBareEach, aim: hot.aims[1]}, {beside: luaForgetting, aim: hot.aims[2]}, {beside: luaDurable, aim: hot.aims[3]}},
		})
	}
	for _, even := range []struct {
		callers int
		aim     float64
	}{{64, 7}, {512, 9}} {
		list = append(list, scene{
			name: fmt.Sprintf("even %d", even.callers), callers: even.callers, open: openDirect(numbered(10_000), nil),
			rows: []row{{beside: oneEach, aim: even.aim}},
		})
	}
	list = append(list,
		scene{name: "graphql 64", callers: 64, open: openServed, rows: []row{
			{beside: oneEachServed, aim: 12},
			{name: "p99 beside " + oneEachServed, beside: oneEachServed, aim: 0.15, atMost: true, of: p99Millis, unit: "ms"},
			{beside: nothingServed, aim: 0.5},
		}},
		scene{name: "alone", callers: 1, open: openDirect([]string{"hot"}, nil), rows: []row{{beside: oneEach, aim: 1.5}}},
		scene{name: "carts of 20", callers: 64, open: openCarts, rows: []row{{beside: oneEach, aim: 8}}},
		expiryScene(),
		scene{name: "two copies", callers: copiesCallers, open: openCopies, rows: []row{{beside: oneCopy, aim: 0.9}}},
	)
	for _, s := range list {
		for i := range s.rows {
			if s.rows[i].name == "" {
				s.rows[i].name = "beside " + s.rows[i].beside
			}
		}
	}
	return list
}

func numbered(n int) []string {
	products := make([]string, n)
	for i := range products {
		products[i] = fmt.Sprintf("product-%05d", i)
	}
	return products
}

// opened collects what must be closed.
type opened struct{ closers []func() error }

func (o *opened) add(closer func() error) { o.closers = append(o.closers, closer) }

func (o *opened) close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i]())
	}
	return errors.Join(errs...)
}

// shop opens a shop of the scene; every contender that needs one has its own.
func (o *opened) shop(ctx context.Context, b *bench, products []string) (*shop, error) {
	b.databases++
	sh, err := openShop(ctx, b.servers, fmt.Sprintf("shop%d", b.databases), products)
	if err == nil {
		o.add(func() error { return sh.close(context.WithoutCancel(ctx)) })
	}
	return sh, err
}

func (o *opened) single(ctx context.Context, b *bench, products []string) (single, error) {
	sh, err := o.shop(ctx, b, products)
	if err != nil {
		return single{}, err
	}
	p, err := openPool(ctx, sh.url)
	if err == nil {
		o.add(func() error { p.close(context.WithoutCancel(ctx)); return nil })
	}
	return single{sh, p}, err
}

type opener = func(context.Context, *bench, func(string) bool) ([]contender, func() error, error)

// openDirect makes the contenders that are called in this process. Without carts, they buy one unit of one product.
func openDirect(products []string, carts [][]models.Line) opener {
	return func(ctx context.Context, b *bench, wanted func(string) bool) (list []contender, closeAll func() error, err error) {
		var o opened
		defer func() {
			if err != nil {
				err = errors.Join(err, o.close())
			}
		}()
		if carts == nil {
			carts = one(products)
		}
		next := anyOf(carts)
		sh, err := o.shop(ctx, b, products)
		if err != nil {
			return nil, nil, err
		}
		add := func(name string, call func(*worker) error, audit func(context.Context, measure) error, vacuum func(context.Context) error) {
			list = append(list, contender{name: name, audit: audit, vacuum: vacuum, turn: func(l load) (measure, error) { return run(l, "run", call) }})
		}
		add(ours, reserving(sh.store.Write, next), sh.audit, sh.vacuum)
		if wanted(oneEach) {
			each, err := o.single(ctx, b, products)
			if err != nil {
				return nil, nil, err
			}
			add(oneEach, givingUp(each.Write, next), each.audit, each.vacuum)
		}
		if wanted(oneBareEach) {
			b.databases++
			each, err := openBare(ctx, b.servers, fmt.Sprintf("bare%d", b.databases), products)
			if err != nil {
				return nil, nil, err
			}
			o.add(func() error { return each.close(context.WithoutCancel(ctx)) })
			add(oneBareEach, each.reserve(next), each.audit, each.vacuum)
		}
		if wanted(luaForgetting) {
			lua, err := openDecrement(ctx, fmt.Sprintf("lua%d", b.databases), b.servers.redis, products)
			if err != nil {
				return nil, nil, err
			}
			o.add(lua.client.Close)
			add(luaForgetting, lua.reserve(ctx, next), lua.audit, nil)
		}
		if wanted(luaDurable) {
			server, err := b.servers.durableRedis()
			if err != nil {
				return nil, nil, err
			}
			lua, err := openDecrement(ctx, fmt.Sprintf("lua%d", b.databases), server, products)
			if err != nil {
				return nil, nil, err
			}
			o.add(lua.client.Close)
			add(luaDurable, lua.reserve(ctx, next), lua.audit, nil)
		}
		return list, o.close, nil
	}
}

// openCarts reads the baskets first.
func openCarts(ctx context.Context, b *bench, wanted func(string) bool) ([]contender, func() error, error) {
	carts, products, from, err := readCarts(b.Baskets)
	if err != nil {
		return nil, nil, err
	}
	b.say(b.out, "  %d carts of %d lines over %d products, %s", len(carts), cartLines, len(products), from)
	return openDirect(products, carts)(ctx, b, wanted)
}

// openServed puts the API in front of each contender.
func openServed(ctx context.Context, b *bench, wanted func(string) bool) (list []contender, closeAll func() error, err error) {
	const callers = 64
	var o opened
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close())
		}
	}()
	products := []string{"hot"}
	next := anyOf(one(products))
	sh, err := o.shop(ctx, b, products)
	if err != nil {
		return nil, nil, err
	}
	add := func(name string, write func(context.Context, models.Write) (models.WriteResult, error), audit func(context.Context, measure) error, vacuum func(context.Context) error) error {
		server, err := serve(writer{sh.store, write}, callers)
		if err != nil {
			return err
		}
		o.add(server.close)
		list = append(list, contender{name: name, audit: audit, vacuum: vacuum, turn: func(l load) (measure, error) { return run(l, "http", server.reserve(next)) }})
		return nil
	}
	if err := add(ours, sh.store.Write, sh.audit, sh.vacuum); err != nil {
		return nil, nil, err
	}
	if wanted(oneEachServed) {
		each, err := o.single(ctx, b, products)
		if err == nil {
			err = add(oneEachServed, each.Write, each.audit, each.vacuum)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	if wanted(nothingServed) {
		answer := sold(time.Now())
		err := add(nothingServed, func(context.Context, models.Write) (models.WriteResult, error) { return answer, nil },
			func(context.Context, measure) error { return nil }, nil)
		if err != nil {
			return nil, nil, err
		}
	}
	return list, o.close, nil
}
