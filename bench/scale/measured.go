package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/results"
)

// The sizes of the tables.
var (
	ratesFull, ratesQuick         = []int{100, 1_000, 5_000, 10_000}, []int{100, 2_000}
	instancesFull, instancesQuick = []int{1, 2, 4}, []int{1, 4}
)

const (
	// spreadProducts is how many products the reservations of most tables are spread over.
	spreadProducts = 10_000
	// scheduledCallers is how many calls may be under way.
	scheduledCallers = 128
	// instanceRate is the rate of reservations that instances share.
	instanceRate = 2_000
)

// changes measures reservations of one unit of any of many products.
func (c *scaleCommand) changes(ctx context.Context) (*results.Growth, error) {
	return c.byRate(ctx, "reservations a second, over 10,000 products", spreadProducts)
}

// hotChanges measures reservations of one unit of one product.
func (c *scaleCommand) hotChanges(ctx context.Context) (*results.Growth, error) {
	return c.byRate(ctx, "reservations a second, of one product", 1)
}

// byRate measures one instance at several rates.
func (c *scaleCommand) byRate(ctx context.Context, of string, products int) (g *results.Growth, err error) {
	g = &results.Growth{Of: of, Columns: c.columns}
	s, err := c.openShop(ctx, shopParams{products: products, instances: 1})
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rates := ratesFull
	if c.Quick {
		rates = ratesQuick
	}
	for _, rate := range rates {
		if err := c.costs(ctx, g, rate, s.directly(""), float64(rate)); err != nil {
			return g, fmt.Errorf("%d a second: %w", rate, err)
		}
	}
	return g, nil
}

// instances measures reservations of many products at one rate, which several instances share.
func (c *scaleCommand) instances(ctx context.Context) (*results.Growth, error) {
	return c.byInstances(ctx, "instances that share 2,000 reservations a second", func(all []string) []string { return all })
}

// listening measures the same where one instance takes all reservations, and the others only receive the changes.
func (c *scaleCommand) listening(ctx context.Context) (*results.Growth, error) {
	return c.byInstances(ctx, "instances, one of which takes 2,000 reservations a second", func(all []string) []string { return all[:1] })
}

func (c *scaleCommand) byInstances(ctx context.Context, of string, taking func(all []string) []string) (*results.Growth, error) {
	g := &results.Growth{Of: of, Columns: c.columns}
	for _, size := range c.instanceSizes() {
		if err := c.shared(ctx, g, size, taking); err != nil {
			return g, fmt.Errorf("%d instances: %w", size, err)
		}
	}
	return g, nil
}

func (c *scaleCommand) instanceSizes() []int {
	if c.Quick {
		return instancesQuick
	}
	return instancesFull
}

// shared measures so many instances, some of which take the reservations.
func (c *scaleCommand) shared(ctx context.Context, g *results.Growth, instances int, taking func(all []string) []string) (err error) {
	s, err := c.openShop(ctx, shopParams{products: spreadProducts, instances: instances})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	w := s.directly("")
	w.called = taking(w.called)
	return c.costs(ctx, g, instances, w, instanceRate)
}
