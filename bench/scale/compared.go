package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"onhand/bench/results"
	"onhand/bench/testbed"
	"onhand/store/storetest"
)

const (
	// roundsFull and roundsQuick are how many turns each way of a comparison has.
	roundsFull, roundsQuick = 3, 1
	// pageCallers is how many callers read pages at a time.
	pageCallers = 64
)

// comparison is a table that has ways in turns: each once in each round, in an order that alternates. A line has the
// medians of their figures.
type comparison struct {
	*scaleCommand
	*results.Growth
	rounds int
	shops  []*shop
	lines  int // so far; a way that cannot be measured has a place too
}

// compare begins a comparison.
func (c *scaleCommand) compare(of string) *comparison {
	rounds := roundsFull
	if c.Quick {
		rounds = roundsQuick
	}
	return &comparison{scaleCommand: c, Growth: &results.Growth{Of: of, Columns: c.columns}, rounds: rounds}
}

// load is that of one turn: shorter than where a table has one turn a line.
func (c *comparison) load(callers int, rate float64) load {
	return load{callers: callers, rate: rate, warm: c.warm / 2, length: c.Length * 2 / 5}
}

// open opens a shop until the comparison ends. It returns nil where a program is not installed, and says so.
func (c *comparison) open(ctx context.Context, p shopParams) (*shop, error) {
	s, err := c.openShop(ctx, p)
	switch {
	case errors.Is(err, storetest.ErrNotInstalled):
		fmt.Fprintf(c.out, "%v: the lines with it stay as they were\n", err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	c.shops = append(c.shops, s)
	return s, nil
}

func (c *comparison) close() error {
	var errs []error
	for _, s := range c.shops {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

// measure has the ways take turns. One without a shop only has its place.
func (c *comparison) measure(ctx context.Context, ways []way, turn func(context.Context, way) (figures, error)) error {
	all := make([][]figures, len(ways))
	for round := range c.rounds {
		for n := range ways {
			if round%2 == 1 {
				n = len(ways) - 1 - n
			}
			if ways[n].shop == nil {
				continue
			}
			f, err := turn(ctx, ways[n])
			if err != nil {
				return fmt.Errorf("%s: %w", ways[n].name, err)
			}
			all[n] = append(all[n], f)
		}
	}
	for n, w := range ways {
		if w.shop != nil {
			c.AddNamed(c.lines+n, w.name, medians(all[n]).of(c.Columns)...)
		}
	}
	c.lines += len(ways)
	return nil
}

// medians are the medians of each figure by itself.
func medians(rounds []figures) figures {
	middle := figures{}
	for column := range rounds[0] {
		var values []float64
		for _, f := range rounds {
			values = append(values, f[column])
		}
		slices.Sort(values)
		middle[column] = values[len(values)/2]
	}
	return middle
}

// named is a way with another name.
func (w way) named(name string) way {
	w.name = name
	return w
}

// reservations measures reservations of one product, then of many, at the rate of instances.
func (c *comparison) reservations(ctx context.Context, ways []way) error {
	for _, load := range []struct {
		name     string
		products int
	}{{"of one product", 1}, {"of 10,000 products", spreadProducts}} {
		var list []way
		for _, w := range ways {
			list = append(list, w.named(load.name+": "+w.name))
		}
		err := c.measure(ctx, list, func(ctx context.Context, w way) (figures, error) {
			return w.reserve(ctx, c.load(scheduledCallers, instanceRate), w.baskets[:load.products])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// redisPages compares pages of stock from the kinds of Redis, with and without a near cache.
func (c *scaleCommand) redisPages(ctx context.Context) (_ *results.Growth, err error) {
	t := c.compare("pages of 20 products, from")
	defer func() { err = errors.Join(err, t.close()) }()
	var near, without []way
	for _, kind := range testbed.RedisKinds {
		s, err := t.open(ctx, shopParams{products: spreadProducts, instances: 1, redis: kind})
		if err != nil {
			return t.Growth, err
		}
		if err := s.start(ctx, "NEAR_CACHE_BYTES=0"); err != nil {
			return t.Growth, err
		}
		near = append(near, s.only(0, "near cache over "+kind))
		without = append(without, s.only(1, kind))
	}
	return t.Growth, t.measure(ctx, append(near, without...), t.pages)
}

// pages measures pages of stock of any products.
func (c *comparison) pages(ctx context.Context, w way) (figures, error) {
	return w.ask(ctx, c.load(pageCallers, 0), w.stockPages())
}

// redisReservations compares reservations with the kinds of Redis.
func (c *scaleCommand) redisReservations(ctx context.Context) (_ *results.Growth, err error) {
	t := c.compare("2,000 reservations a second")
	defer func() { err = errors.Join(err, t.close()) }()
	var ways []way
	for _, kind := range testbed.RedisKinds {
		s, err := t.open(ctx, shopParams{products: spreadProducts, instances: 1, redis: kind})
		if err != nil {
			return t.Growth, err
		}
		ways = append(ways, s.directly(kind))
	}
	return t.Growth, t.reservations(ctx, ways)
}

// pooled compares Postgres with pgbouncer before it.
func (c *scaleCommand) pooled(ctx context.Context) (_ *results.Growth, err error) {
	t := c.compare("2,000 reservations a second")
	defer func() { err = errors.Join(err, t.close()) }()
	ways := []way{{name: "Postgres"}, {name: "pgbouncer"}}
	for i, pooled := range []bool{false, true} {
		s, err := t.open(ctx, shopParams{products: spreadProducts, instances: 1, pooled: pooled})
		if err != nil {
			return t.Growth, err
		}
		if s != nil {
			ways[i] = s.directly(ways[i].name)
		}
	}
	return t.Growth, t.reservations(ctx, ways)
}

// balancedPages compares pages of stock of one, two and four instances, called directly and through haproxy.
func (c *scaleCommand) balancedPages(ctx context.Context) (*results.Growth, error) {
	t := c.compare("pages of 20 products, from")
	return t.balanced(ctx, t.pages)
}

// balancedReservations compares reservations of one product in the same way.
func (c *scaleCommand) balancedReservations(ctx context.Context) (*results.Growth, error) {
	t := c.compare("2,000 reservations a second of one product, by")
	return t.balanced(ctx, func(ctx context.Context, w way) (figures, error) {
		return w.reserve(ctx, t.load(scheduledCallers, instanceRate), w.baskets[:1])
	})
}

func (c *comparison) balanced(ctx context.Context, turn func(context.Context, way) (figures, error)) (_ *results.Growth, err error) {
	defer func() { err = errors.Join(err, c.close()) }()
	var ways []way
	for _, size := range c.instanceSizes() {
		s, err := c.open(ctx, shopParams{products: spreadProducts, instances: size, settings: balancedSettings})
		if err != nil {
			return c.Growth, err
		}
		name := fmt.Sprintf("%d instances", size)
		if size == 1 {
			name = "1 instance"
		}
		through := way{}
		switch err := s.balance(ctx); {
		case err == nil:
			through = s.balanced(name + " behind haproxy")
		case errors.Is(err, storetest.ErrNotInstalled):
			fmt.Fprintf(c.out, "%v: the lines with it stay as they were\n", err)
		default:
			return c.Growth, err
		}
		ways = append(ways, s.directly(name), through)
	}
	return c.Growth, c.measure(ctx, ways, turn)
}
