package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/floors"
	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// growthSizesFull and growthSizesQuick are how many products the shops of --growth have.
var growthSizesFull, growthSizesQuick = []int{10_000, 100_000, 1_000_000}, []int{10_000, 100_000}

// growthSizes are those of this run, before the defaults are set.
func (c *readCommand) growthSizes() []int {
	switch {
	case c.Products > 0:
		return []int{c.Products}
	case c.Quick:
		return growthSizesQuick
	}
	return growthSizesFull
}

// growthColumns are those of the table of --growth.
var growthColumns = []string{
	"requests/s", "server, µs a request", "Redis, µs a request", "p50, ms", "p99, ms", "server's memory, MB",
	"Postgres, bytes a product", "Redis, bytes a product",
}

// growth prints what a request for 20 products by popularity costs, with the default near cache, in shops of several
// sizes, and what a product takes in Postgres and Redis. It keeps the table.
func (c *readCommand) growth(ctx context.Context, sizes []int) (err error) {
	g := results.Growth{Of: "products", Columns: growthColumns}
	for i, size := range sizes {
		var figures []float64
		if figures, err = c.growOne(ctx, size, uint64(i)); err != nil {
			err = fmt.Errorf("%d products: %w", size, err)
			break
		}
		g.Add(size, figures...)
	}
	g.Print(c.out)
	return errors.Join(err, g.Keep(c.Tables, "products"))
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
	empty, err := s.redisBytes(ctx)
	if err != nil {
		return nil, err
	}
	w := workload{name: fmt.Sprintf("%d products", size), callers: connections, ask: threeFields}
	if _, err := c.once(w, server, w.ask.scan(0, size, fillLength)); err != nil {
		return nil, err
	}
	full, err := s.redisBytes(ctx)
	if err != nil {
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
	before := testbed.CPUTimes()
	own := testbed.ProcessCPU(server.pid)
	m, err := c.turn(w, server, load, next, nil)
	if err != nil {
		return nil, err
	}
	own = testbed.ProcessCPU(server.pid) - own
	redis := testbed.CPUTimes()["redis-server"] - before["redis-server"]
	stored, err := s.storedBytes(ctx)
	if err != nil {
		return nil, err
	}
	resident, err := server.metric(ctx, "process_resident_memory_bytes")
	calls, products := float64(max(m.Acknowledged, 1)), float64(size)
	return []float64{
		m.PerSecond, float64(own.Microseconds()) / calls, float64(redis.Microseconds()) / calls,
		results.P50Millis(m), results.P99Millis(m), resident / 1e6, stored / products, (full - empty) / products,
	}, err
}

// storedBytes is what products, their two levels and all indexes take in Postgres, without the ledger.
func (s *shop) storedBytes(ctx context.Context) (bytes float64, err error) {
	err = s.admin.QueryRow(ctx, "SELECT pg_total_relation_size('products') + pg_total_relation_size('stock_levels')").Scan(&bytes)
	return bytes, err
}

// redisBytes is what Redis has allocated.
func (s *shop) redisBytes(ctx context.Context) (bytes float64, err error) {
	client, err := floors.Client(s.command.servers.Redis.URL())
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	return testbed.RedisFigure(ctx, client, "memory", "used_memory")
}
