package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// growthSizes are how many products the shops of --growth have.
var growthSizes = []int{10_000, 100_000, 1_000_000}

// growth prints what a request for 20 products by popularity costs, with the default near cache, in shops of several sizes.
func (c *readCommand) growth(ctx context.Context) error {
	g := results.Growth{Of: "products", Columns: []string{
		"requests/s", "server, µs a request", "all programs but the load, µs a request", "p50, ms", "p99, ms", "server's memory, MB",
	}}
	for i, size := range growthSizes {
		figures, err := c.growOne(ctx, size, uint64(i))
		if err != nil {
			g.Print(c.out)
			return fmt.Errorf("%d products: %w", size, err)
		}
		g.Add(size, figures...)
	}
	g.Print(c.out)
	return nil
}

// growOne measures one shop. All products are in Redis.
func (c *readCommand) growOne(ctx context.Context, size int, seed uint64) (_ []float64, err error) {
	s, err := c.openShop(ctx, size)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	server, err := s.start(ctx, onhand)
	if err != nil {
		return nil, err
	}
	w := workload{name: fmt.Sprintf("%d products", size), callers: connections, ask: threeFields}
	if _, err := c.once(w, server, w.ask.scan(0, size, fillLength)); err != nil {
		return nil, err
	}
	number := seed << 32 // every connection has requests of its own
	next := func(int) func() prepared {
		number++
		return popular(w.ask, size, number)
	}
	load := loadgen.Params{Callers: w.callers, Length: c.Length}
	if _, err := c.turn(w, server, load, next, nil); err != nil { // the near cache gets the popular ones
		return nil, err
	}
	own, all := testbed.ProcessCPU(server.pid), testbed.CPUTimes().Children()
	m, err := c.turn(w, server, load, next, nil)
	if err != nil {
		return nil, err
	}
	resident, err := server.metric(ctx, "process_resident_memory_bytes")
	each := func(spent float64) float64 { return spent / float64(max(m.Acknowledged, 1)) }
	return []float64{
		m.PerSecond, each(float64((testbed.ProcessCPU(server.pid) - own).Microseconds())), each(float64((testbed.CPUTimes().Children() - all).Microseconds())),
		results.P50Millis(m), results.P99Millis(m), resident / 1e6,
	}, err
}
