package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

const (
	// warmClients and warmChanges come before memory is read for the first time.
	warmClients, warmChanges = 50, 20
	// changePause is the pause after a change that all clients have.
	changePause = 50 * time.Millisecond
	// changesPerSecond is the rate of changes over all products.
	changesPerSecond = 1_000
)

// memoryAim and goroutinesAim are what an idle subscriber may take.
const memoryAim, goroutinesAim = 14.0, 2.0

// figure names what a turn measured; a round has one measurement for each variant and figure.
func figure(variant, of string) string { return variant + ", " + of }

const (
	ofConnecting = "connecting"
	ofIdle       = "idle"
	ofTraffic    = "after traffic"
	ofGoroutines = "goroutines"
	ofDelivery   = "delivery"
	ofReconnect  = "reconnecting"
	ofReturn     = "after reconnecting"
	theAim       = "the aim"
)

// workload is what one turn of a variant does. Where Onhand stands beside another variant than the bare server, no
// instance of this process writes.
type workload struct {
	name     string
	products int
	beside   string // the variant beside Onhand; empty: the bare server
	turn     func(c *streamCommand, ctx context.Context, t *turn) error
	rows     []results.Row
}

func kilobytes(m loadgen.Measurement) float64 { return m.PerSecond }
func micros(m loadgen.Measurement) float64    { return m.PerSecond }
func p50Micros(m loadgen.Measurement) float64 { return m.P50.Seconds() * 1e6 }
func p99Micros(m loadgen.Measurement) float64 { return m.P99.Seconds() * 1e6 }

func workloads() []workload {
	row := func(name, ours, beside string, aim float64, of func(loadgen.Measurement) float64, unit string) results.Row {
		return results.Row{Name: name, Ours: ours, Beside: beside, Aim: aim, AtMost: true, Of: of, Unit: unit}
	}
	return []workload{
		{name: "one product, 10,000 subscribers", products: 1, turn: (*streamCommand).oneProduct, rows: []results.Row{
			row("memory, idle, beside 14 kB", figure(onhand, ofIdle), theAim, 1, kilobytes, "kB"),
			row("memory, idle, beside the bare server", figure(onhand, ofIdle), figure(bare, ofIdle), 0, kilobytes, "kB"),
			row("memory, after traffic, beside 14 kB", figure(onhand, ofTraffic), theAim, 1, kilobytes, "kB"),
			row("goroutines beside 2", figure(onhand, ofGoroutines), theAim+" of goroutines", 1, micros, "a subscriber"),
			row("CPU of a delivery", figure(onhand, ofDelivery), figure(bare, ofDelivery), 1.3, micros, "µs"),
			row("latency, median", figure(onhand, ofDelivery), figure(bare, ofDelivery), 0, results.P50Millis, "ms"),
			row("latency, 99th percentile", figure(onhand, ofDelivery), figure(bare, ofDelivery), 1.3, results.P99Millis, "ms"),
			row("connect, subscribe, first value, beside connecting", figure(onhand, ofConnecting), figure(bare, ofConnecting), 2, results.P50Seconds, "s"),
			row("reconnecting after a restart, beside connecting", figure(onhand, ofReconnect), figure(onhand, ofConnecting), 1.5, results.P50Seconds, "s"),
			row("memory after that, beside idle", figure(onhand, ofReturn), figure(onhand, ofIdle), 1.1, kilobytes, "kB"),
		}},
		{name: "1,000 products, 10 subscribers each", products: shopProducts, turn: (*streamCommand).manyProducts, rows: []results.Row{
			row("CPU of a delivery", figure(onhand, ofDelivery), figure(bare, ofDelivery), 1.5, micros, "µs"),
			row("latency, median", figure(onhand, ofDelivery), figure(bare, ofDelivery), 0, results.P50Millis, "ms"),
			row("latency, 99th percentile", figure(onhand, ofDelivery), figure(bare, ofDelivery), 2, results.P99Millis, "ms"),
		}},
		{name: "a commit in one instance until a client of another has it", beside: redisPair, turn: (*streamCommand).commitToFrame, rows: []results.Row{
			row("median", figure(onhand, ofChange), figure(redisPair, ofChange), 3, p50Micros, "µs"),
			row("99th percentile", figure(onhand, ofChange), figure(redisPair, ofChange), 5, p99Micros, "µs"),
		}},
		{name: "an outside UPDATE until a client has it", beside: notifyPair, turn: (*streamCommand).updateToFrame, rows: []results.Row{
			row("median", figure(onhand, ofChange), figure(notifyPair, ofChange), 4, p50Micros, "µs"),
			row("99th percentile", figure(onhand, ofChange), figure(notifyPair, ofChange), 0, p99Micros, "µs"),
			row("median, beside an UPDATE of a bare table that notifies", figure(onhand, ofChange), figure(notifyPair, ofBareUpdate), 0, p50Micros, "µs"),
		}},
	}
}

// variants are the competitors, the floor first.
func (w workload) variants() []string {
	if w.beside == "" {
		return []string{bare, onhand}
	}
	return []string{w.beside, onhand}
}

// turn is one variant in one round.
type turn struct {
	workload workload
	shop     *shop
	server   *server
	round    results.Round
	base     int64 // resident memory without a client
}

func (t *turn) set(of string, m loadgen.Measurement) { t.round[figure(t.server.name, of)] = m }

func (t *turn) clients() int { return t.shop.command.Clients }

// connect connects clients.
func (t *turn) connect(clients int) (*crowd, time.Duration, error) {
	crowd, took, err := connect(t.server.address, clients, t.workload.products, t.server.name == onhand)
	if err != nil {
		return nil, 0, errors.Join(err, t.server.failure())
	}
	for product, source := range crowd.sources {
		source.base = t.shop.version(t.server, product)
	}
	return crowd, took, nil
}

// warm lets a few clients get a few changes, and reads the memory without a client.
func (t *turn) warm(ctx context.Context) error {
	crowd, _, err := t.connect(warmClients)
	if err != nil {
		return err
	}
	for i := range warmChanges {
		product := i % t.workload.products
		crowd.publishing(product)
		if err := t.shop.changed(ctx, t.server, product); err != nil {
			return err
		}
		if err := crowd.settle(); err != nil {
			return err
		}
	}
	crowd.close()
	time.Sleep(t.shop.command.Idle / 2)
	t.base, err = residentBytes(t.server.pid)
	return err
}

// memory reads what a client takes, in kB.
func (t *turn) memory(of string) error {
	time.Sleep(t.shop.command.Idle)
	now, err := residentBytes(t.server.pid)
	t.set(of, loadgen.Measurement{PerSecond: float64(now-t.base) / float64(t.clients()) / 1000})
	return err
}

// oneProduct sends each change of one product to all clients, then restarts the server.
func (c *streamCommand) oneProduct(ctx context.Context, t *turn) error {
	if err := t.warm(ctx); err != nil {
		return err
	}
	before, err := t.server.goroutines()
	if err != nil {
		return err
	}
	crowd, took, err := t.connect(t.clients())
	if err != nil {
		return err
	}
	defer crowd.close()
	t.set(ofConnecting, loadgen.Measurement{P50: took})
	if err := t.memory(ofIdle); err != nil {
		return err
	}
	now, err := t.server.goroutines()
	if err != nil {
		return err
	}
	t.set(ofGoroutines, loadgen.Measurement{PerSecond: float64(now-before) / float64(t.clients())})
	err = t.deliver(crowd, func() error {
		for range c.Changes {
			crowd.publishing(0)
			if err := t.shop.changed(ctx, t.server, 0); err != nil {
				return err
			}
			if err := crowd.settle(); err != nil {
				return err
			}
			time.Sleep(changePause)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := t.memory(ofTraffic); err != nil || t.server.name != onhand {
		return err
	}
	return t.restart(ctx, crowd)
}

// restart restarts the server, after which all clients connect at once.
func (t *turn) restart(ctx context.Context, crowd *crowd) error {
	if err := t.server.stop(); err != nil {
		return err
	}
	crowd.close()
	next, err := t.shop.start(ctx, onhand)
	if err != nil {
		return err
	}
	t.server = next
	again, took, err := t.connect(t.clients())
	if err != nil {
		return err
	}
	defer again.close()
	t.set(ofReconnect, loadgen.Measurement{P50: took})
	return t.memory(ofReturn)
}

// deliver measures the CPU time of the server and the latencies while changes are published.
func (t *turn) deliver(crowd *crowd, publish func() error) error {
	crowd.latency.Drain()
	arrived, spent := crowd.arrived.Load(), testbed.ProcessCPU(t.server.pid)
	if err := publish(); err != nil {
		return errors.Join(err, t.server.failure())
	}
	spent = testbed.ProcessCPU(t.server.pid) - spent
	arrived = crowd.arrived.Load() - arrived
	taken := crowd.latency.Drain()
	t.set(ofDelivery, loadgen.Measurement{
		PerSecond: float64(spent.Microseconds()) / float64(max(arrived, 1)), P50: taken.Percentile(50), P99: taken.Percentile(99), Acknowledged: int(arrived),
	})
	return nil
}

// manyProducts changes all products at a steady rate.
func (c *streamCommand) manyProducts(ctx context.Context, t *turn) error {
	crowd, _, err := t.connect(t.clients())
	if err != nil {
		return err
	}
	defer crowd.close()
	time.Sleep(c.Idle / 2)
	return t.deliver(crowd, func() error {
		var writing errgroup.Group
		begin := time.Now()
		for writer := range writersMax {
			writing.Go(func() error {
				for i := writer; i < int(c.Length.Seconds()*changesPerSecond); i += writersMax {
					time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / changesPerSecond)))
					product := i % t.workload.products
					crowd.publishing(product)
					if err := t.shop.changed(ctx, t.server, product); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return errors.Join(writing.Wait(), crowd.settle())
	})
}

// writersMax is how many callers change products at a time. It divides their number, so that each product has one of
// them.
const writersMax = 20

// describe prints what a turn measured.
func (t *turn) describe() string {
	text := t.server.name + ":"
	for _, of := range []string{ofConnecting, ofIdle, ofGoroutines, ofDelivery, ofTraffic, ofReconnect, ofReturn, ofChange, ofBareUpdate} {
		m, ok := t.round[figure(t.server.name, of)]
		switch {
		case !ok:
		case of == ofDelivery:
			text += fmt.Sprintf(" %s %.1f µs, p50 %.1f ms, p99 %.1f ms (%d);", of, m.PerSecond, results.P50Millis(m), results.P99Millis(m), m.Acknowledged)
		case of == ofChange || of == ofBareUpdate:
			text += fmt.Sprintf(" %s p50 %.0f µs, p99 %.0f µs (%d);", of, p50Micros(m), p99Micros(m), m.Acknowledged)
		case m.P50 > 0:
			text += fmt.Sprintf(" %s %.2f s;", of, m.P50.Seconds())
		default:
			text += fmt.Sprintf(" %s %.2f;", of, m.PerSecond)
		}
	}
	return text
}
