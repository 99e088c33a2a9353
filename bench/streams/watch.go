package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// eachInstance is how many watchers each instance has in the table of many: a process has some 20,000 sockets.
const eachInstance = 10_000

// watchCommand is clients in a process of their own. After each change it answers a line with the version and the time
// of the change by a line with the latencies of all its clients.
type watchCommand struct {
	Address string `required:""`
	Clients int    `required:""`
	Version int64  `required:""` // before the first change
}

// Run connects, says with the ready word how long that took, and answers until its input ends.
func (c watchCommand) Run(context.Context) error {
	crowd, took, err := connect(c.Address, c.Clients, 1, true)
	if err != nil {
		return err
	}
	defer crowd.close()
	crowd.sources[0].base = c.Version
	fmt.Println(testbed.ReadyWord, took)
	answers := json.NewEncoder(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		version, sent, err := parseChange(lines.Text())
		if err != nil {
			return err
		}
		crowd.sources[0].number.Store(version - c.Version)
		if err := crowd.settle(); err != nil {
			return err
		}
		if err := answers.Encode(crowd.since(sent)); err != nil {
			return err
		}
	}
	return nil
}

// parseChange reads a version and a time, in nanoseconds since 1970.
func parseChange(line string) (version int64, sent time.Time, err error) {
	first, second, _ := strings.Cut(line, " ")
	version, err = strconv.ParseInt(first, 10, 64)
	nanos, timeErr := strconv.ParseInt(second, 10, 64)
	return version, time.Unix(0, nanos), errors.Join(err, timeErr)
}

// since is how long after a moment each client got its newest value, in microseconds.
func (c *crowd) since(sent time.Time) (micros []int64) {
	from := int64(sent.Sub(started))
	for _, s := range c.clients {
		micros = append(micros, (atomic.LoadInt64(&s.at)-from)/int64(time.Microsecond))
	}
	return micros
}

// growMany measures more watchers of one product than a process has sockets: so many at each instance, which a process of
// clients each has.
func (c *streamCommand) growMany(ctx context.Context, g *results.Growth) error {
	each := eachInstance
	if c.Quick {
		each /= 10
	}
	return c.inShop(ctx, instanceSizes, func(shop *shop, size int) error {
		figures, err := c.many(ctx, shop, size, each)
		if err == nil {
			g.Add(size*each, figures...)
		}
		return err
	})
}

// watched is instances with their watchers.
type watched struct {
	servers  []*server
	watchers []*testbed.Child
	answers  []*json.Decoder
}

// many measures so many instances with so many watchers each. All connect at the same time.
func (c *streamCommand) many(ctx context.Context, shop *shop, instances, each int) (_ []float64, err error) {
	var w watched
	defer func() {
		for _, child := range w.watchers {
			err = errors.Join(err, child.End())
		}
		for _, server := range w.servers {
			err = errors.Join(err, server.stop())
		}
	}()
	for range instances {
		server, err := shop.start(ctx, onhand)
		if err != nil {
			return nil, err
		}
		w.servers = append(w.servers, server)
		t := &turn{workload: workload{products: 1}, shop: shop, server: server, round: results.Round{}}
		if err := t.warm(ctx); err != nil {
			return nil, err
		}
	}
	idle, err := w.resident()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := w.connect(ctx, each, shop.versions[0]); err != nil {
		return nil, err
	}
	connected := time.Since(begin)
	time.Sleep(c.Idle)
	resident, err := w.resident()
	if err != nil {
		return nil, err
	}
	var latency loadgen.Histogram
	before := w.spent()
	for range c.Changes {
		sent := time.Now()
		if err := shop.change(ctx, 0); err != nil {
			return nil, err
		}
		if err := w.settle(shop.versions[0], sent, &latency); err != nil {
			return nil, err
		}
		time.Sleep(changePause)
	}
	cost, taken := w.spent()-before, latency.Drain()
	return []float64{
		float64(resident-idle) / float64(instances*each) / 1000, float64(cost.Microseconds()) / float64(max(taken.Count, 1)),
		results.P50Millis(loadgen.Measurement{P50: taken.Percentile(50)}), results.P99Millis(loadgen.Measurement{P99: taken.Percentile(99)}),
		connected.Seconds(),
	}, nil
}

// connect starts the clients of all instances.
func (w *watched) connect(ctx context.Context, each int, version int64) error {
	started := make([]*testbed.Child, len(w.servers))
	failures := make(chan error, len(w.servers))
	for i, server := range w.servers {
		go func() {
			var err error
			started[i], err = testbed.StartChild(ctx, "watch", "--address", server.address, "--clients", strconv.Itoa(each), "--version", strconv.FormatInt(version, 10))
			failures <- err
		}()
	}
	var errs []error
	for range w.servers {
		errs = append(errs, <-failures)
	}
	for _, child := range started {
		if child != nil {
			w.watchers, w.answers = append(w.watchers, child), append(w.answers, json.NewDecoder(child.Stdout))
		}
	}
	return errors.Join(errs...)
}

// settle waits until all clients have a version, and counts when they got it.
func (w *watched) settle(version int64, sent time.Time, latency *loadgen.Histogram) error {
	for _, child := range w.watchers {
		if _, err := fmt.Fprintf(child.Stdin, "%d %d\n", version, sent.UnixNano()); err != nil {
			return err
		}
	}
	for _, answers := range w.answers {
		var micros []int64
		if err := answers.Decode(&micros); err != nil {
			return fmt.Errorf("the answer of the clients: %w", err)
		}
		for _, one := range micros {
			latency.Add(time.Duration(one) * time.Microsecond)
		}
	}
	return nil
}

// resident is the memory of all instances.
func (w *watched) resident() (sum int64, err error) {
	for _, server := range w.servers {
		one, err := residentBytes(server.pid)
		if err != nil {
			return 0, err
		}
		sum += one
	}
	return sum, nil
}

// spent is the CPU time of all instances.
func (w *watched) spent() (sum time.Duration) {
	for _, server := range w.servers {
		sum += testbed.ProcessCPU(server.pid)
	}
	return sum
}

// growFrames measures a commit at one instance until a client of another has its frame, by the kind of Redis.
func (c *streamCommand) growFrames(ctx context.Context, g *results.Growth) error {
	for place, kind := range testbed.RedisKinds {
		m, err := c.frames(ctx, kind)
		if err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		g.AddNamed(place, kind, p50Micros(m), p99Micros(m))
	}
	return nil
}

func (c *streamCommand) frames(ctx context.Context, kind string) (_ loadgen.Measurement, err error) {
	redis, err := testbed.StartRedis(ctx, kind)
	if err != nil {
		return loadgen.Measurement{}, err
	}
	defer func() { err = errors.Join(err, redis.Close()) }()
	shop, err := c.openShopOver(ctx, redis.URL, false)
	if err != nil {
		return loadgen.Measurement{}, err
	}
	defer func() { err = errors.Join(err, shop.close(context.WithoutCancel(ctx))) }()
	round := results.Round{}
	err = c.turn(ctx, shop, workload{turn: (*streamCommand).commitToFrame}, onhand, round)
	return round[figure(onhand, ofChange)], err
}
