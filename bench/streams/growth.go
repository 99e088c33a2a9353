package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// The sizes of --growth.
var (
	watcherSizes      = []int{100, 1_000, 10_000}
	subscriptionSizes = []int{1, 10, 100}
	instanceSizes     = []int{1, 2, 4}
)

const (
	// growthSockets is how many sockets have several subscriptions.
	growthSockets = 100
	// growthChanges is how many changes their products get.
	growthChanges = 2_000
	// growthWatchers is how many clients the instances share.
	growthWatchers = 4_000
)

// growthTable is a table of --growth.
type growthTable struct {
	name, of string
	columns  []string
	lines    int // of a whole table
	measure  func(*streamCommand, context.Context, *results.Growth) error
}

func growthTables() []growthTable {
	return []growthTable{
		{
			"watchers", "watchers of one product",
			[]string{"memory of one, kB", "CPU of a delivery, µs", "until the median client has a change, ms", "p99, ms", "all connected, s"},
			len(watcherSizes), (*streamCommand).growWatchers,
		},
		{
			"subscriptions", "subscriptions of each of 100 sockets",
			[]string{"memory of a socket, kB", "memory of a subscription, kB", "CPU of a delivery, µs", "p50, ms", "p99, ms"},
			len(subscriptionSizes), (*streamCommand).growSubscriptions,
		},
		{
			"watched instances", "instances that share 4,000 watchers of one product",
			[]string{"CPU of a delivery, all instances, µs", "p50, ms", "p99, ms"},
			len(instanceSizes), (*streamCommand).growInstances,
		},
		{
			"many watchers", "watchers of one product, 10,000 at each instance",
			[]string{"memory of one, kB", "CPU of a delivery, µs", "p50, ms", "p99, ms", "all connected, s"},
			len(instanceSizes), (*streamCommand).growMany,
		},
		{
			"frames by Redis", "a commit at one instance until a client of another has it, through",
			[]string{"p50, µs", "p99, µs"},
			len(testbed.RedisKinds), (*streamCommand).growFrames,
		},
	}
}

// growth prints how costs grow with watchers, with subscriptions of a socket, and with instances, and keeps the tables.
func (c *streamCommand) growth(ctx context.Context, selected *regexp.Regexp) error {
	for _, table := range growthTables() {
		if !selected.MatchString(table.name) {
			continue
		}
		grown := &results.Growth{Of: table.of, Columns: table.columns}
		err := table.measure(c, ctx, grown)
		grown.Print(c.out)
		if err = errors.Join(err, grown.Keep(c.Tables, table.name)); err != nil {
			return err
		}
	}
	return nil
}

// inShop calls use for each size, in a shop with an instance that writes.
func (c *streamCommand) inShop(ctx context.Context, sizes []int, use func(shop *shop, size int) error) (err error) {
	shop, err := c.openShop(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shop.close(context.WithoutCancel(ctx))) }()
	for _, size := range sizes {
		if err := use(shop, size); err != nil {
			return fmt.Errorf("%d: %w", size, err)
		}
	}
	return nil
}

func (c *streamCommand) growWatchers(ctx context.Context, g *results.Growth) error {
	return c.inShop(ctx, watcherSizes, func(shop *shop, size int) error {
		command := *c
		command.Clients = size
		shop.command = &command
		round := results.Round{}
		if err := command.turn(ctx, shop, workloads()[0], onhand, round); err != nil {
			return err
		}
		idle, delivery, connecting := round[figure(onhand, ofIdle)], round[figure(onhand, ofDelivery)], round[figure(onhand, ofConnecting)]
		g.Add(size, idle.PerSecond, delivery.PerSecond, results.P50Millis(delivery), results.P99Millis(delivery), connecting.P50.Seconds())
		return nil
	})
}

func (c *streamCommand) growSubscriptions(ctx context.Context, g *results.Growth) error {
	return c.inShop(ctx, subscriptionSizes, func(shop *shop, size int) error {
		figures, err := c.subscriptions(ctx, shop, size)
		if err == nil {
			g.Add(size, figures...)
		}
		return err
	})
}

// subscriptions measures sockets with so many subscriptions each, all of different products as far as there are enough.
func (c *streamCommand) subscriptions(ctx context.Context, shop *shop, each int) (_ []float64, err error) {
	server, err := shop.start(ctx, onhand)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.stop()) }()
	t := &turn{workload: workload{products: shopProducts}, shop: shop, server: server, round: results.Round{}}
	if err := t.warm(ctx); err != nil {
		return nil, err
	}
	crowd := &crowd{latency: &loadgen.Histogram{}}
	for product := range shopProducts {
		crowd.sources = append(crowd.sources, &changes{base: shop.versions[product]})
	}
	defer crowd.close()
	for number := range growthSockets {
		s, err := dial(server.address, number, number*each%shopProducts, true)
		if err != nil {
			return nil, err
		}
		crowd.clients = append(crowd.clients, s)
		for i := 1; i < each; i++ {
			if err := s.subscribeMore(i+1, (number*each+i)%shopProducts); err != nil {
				return nil, err
			}
		}
		crowd.reading.Go(func() { crowd.readMany(s) })
	}
	time.Sleep(c.Idle)
	resident, err := residentBytes(server.pid)
	if err != nil {
		return nil, err
	}
	err = t.deliver(crowd, func() error {
		return crowd.changeAll(ctx, shop, min(growthSockets*each, shopProducts), growthSockets*each)
	})
	memory, m := float64(resident-t.base)/1000, t.round[figure(onhand, ofDelivery)]
	return []float64{
		memory / growthSockets, memory / growthSockets / float64(each), m.PerSecond, results.P50Millis(m), results.P99Millis(m),
	}, err
}

// changeAll changes the first products in turn, and waits until all messages have arrived. subscriptions is how many there
// are of all of them.
func (c *crowd) changeAll(ctx context.Context, shop *shop, products, subscriptions int) error {
	before := c.arrived.Load()
	begin := time.Now()
	for i := range growthChanges {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / changesPerSecond)))
		c.publishing(i % products)
		if err := shop.change(ctx, i%products); err != nil {
			return err
		}
	}
	wanted := int64(growthChanges / products * subscriptions)
	for deadline := time.Now().Add(settleMax); c.arrived.Load()-before < wanted; time.Sleep(time.Millisecond) {
		if failed := c.failure.Load(); failed != nil {
			return *failed
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d of %d messages", c.arrived.Load()-before, wanted)
		}
	}
	return nil
}

// subscribeMore subscribes once more on the same connection, and reads the first value.
func (s *subscriber) subscribeMore(number, product int) error {
	if err := s.conn.SetDeadline(time.Now().Add(dialTimeout)); err != nil {
		return err
	}
	id := strconv.Itoa(number)
	if err := s.send(`{"id":"` + id + `","type":"subscribe","payload":{"query":"` + document + `","variables":{"ids":["` + fixture.ShopProduct(product) + `"]}}}`); err != nil {
		return err
	}
	if _, _, err := s.nextVersion(); err != nil {
		return err
	}
	return s.conn.SetDeadline(time.Time{})
}

var productKey = []byte(`"productId":"product-`)

// readMany reads the messages of a socket with several subscriptions, until it is closed.
func (c *crowd) readMany(s *subscriber) {
	for {
		message, err := s.next()
		if err != nil {
			return
		}
		at := int64(time.Since(started))
		version, ok := versionIn(message)
		_, rest, found := bytes.Cut(message, productKey)
		digits, _, _ := bytes.Cut(rest, []byte(`"`))
		product, err := strconv.Atoi(string(digits))
		switch {
		case ok && found && err == nil && product < len(c.sources):
			c.timed(c.sources[product], version, at)
		case bytes.Contains(message, []byte(`"ping"`)):
			_ = s.send(`{"type":"pong"}`) // a lost connection ends the loop
		default:
			err := fmt.Errorf("unexpected: %q", message)
			c.failure.Store(&err)
			return
		}
	}
}

func (c *streamCommand) growInstances(ctx context.Context, g *results.Growth) error {
	return c.inShop(ctx, instanceSizes, func(shop *shop, size int) error {
		figures, err := c.instances(ctx, shop, size)
		if err == nil {
			g.Add(size, figures...)
		}
		return err
	})
}

// instances measures so many servers, each with its part of the watchers.
func (c *streamCommand) instances(ctx context.Context, shop *shop, size int) (_ []float64, err error) {
	var crowds []*crowd
	var servers []*server
	defer func() {
		for _, crowd := range crowds {
			crowd.close()
		}
		for _, server := range servers {
			err = errors.Join(err, server.stop())
		}
	}()
	for range size {
		server, err := shop.start(ctx, onhand)
		if err != nil {
			return nil, err
		}
		servers = append(servers, server)
		t := &turn{workload: workload{products: 1}, shop: shop, server: server}
		crowd, _, err := t.connect(growthWatchers / size)
		if err != nil {
			return nil, err
		}
		crowds = append(crowds, crowd)
	}
	for _, crowd := range crowds[1:] {
		crowd.latency = crowds[0].latency // before the first change
	}
	spent := func() (sum time.Duration) {
		for _, server := range servers {
			sum += testbed.ProcessCPU(server.pid)
		}
		return sum
	}
	before := spent()
	for range c.Changes {
		for _, crowd := range crowds {
			crowd.publishing(0)
		}
		if err := shop.change(ctx, 0); err != nil {
			return nil, err
		}
		for _, crowd := range crowds {
			if err := crowd.settle(); err != nil {
				return nil, err
			}
		}
		time.Sleep(changePause)
	}
	cost := spent() - before
	taken := crowds[0].latency.Drain()
	return []float64{
		float64(cost.Microseconds()) / float64(max(taken.Count, 1)),
		taken.Percentile(50).Seconds() * 1000, taken.Percentile(99).Seconds() * 1000,
	}, nil
}
