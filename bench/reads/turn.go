package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

const (
	// preparedRequests is how many different requests a warm workload has.
	preparedRequests = 512
	// checkedAnswers is how many answers of each connection are read whole in a turn.
	checkedAnswers = 4
	// splitLengthMin is the shortest turn of a workload that splits its rounds.
	splitLengthMin = 200 * time.Millisecond
)

// prepared is one request, ready to be sent.
type prepared struct {
	numbers []int // of the products
	ids     []string
	body    []byte
	// While the products change: the newest snapshot before it is sent, and when that was.
	before *snapshot
	sent   time.Time
}

// prepare makes requests for random products, the same in every run.
func (q question) prepare(shopSize int) []prepared {
	rng := rand.New(rand.NewPCG(20, 14))
	list := make([]prepared, preparedRequests)
	for i := range list {
		numbers := rng.Perm(shopSize)[:min(q.length, shopSize)]
		list[i] = q.request(numbers)
	}
	return list
}

func (q question) request(numbers []int) prepared {
	ids := products(numbers)
	return prepared{numbers: numbers, ids: ids, body: q.body(q.variables(ids))}
}

// caller is one connection with its requests.
type caller struct {
	*loadgen.Requester
	next     func() prepared
	answered func(p prepared, answer []byte) error // nil: nothing more
	request  []byte
	calls    int
}

// call sends the next request.
func (c *caller) call(q question) error {
	p := c.next()
	c.request = c.AppendRequest(c.request[:0], p.body)
	answer, err := c.Do(c.request)
	if err == nil {
		err = checkFast(answer)
	}
	if c.calls++; err == nil && c.calls <= checkedAnswers {
		err = q.check(answer, p.ids)
	}
	if err == nil && c.answered != nil {
		err = c.answered(p, answer)
	}
	return err
}

// drawn gives a connection a function that draws from the prepared requests.
func drawn(list []prepared) func(worker int) func() prepared {
	return func(worker int) func() prepared {
		rng := rand.New(rand.NewPCG(uint64(worker), 14))
		return func() prepared { return list[rng.IntN(len(list))] }
	}
}

// dial opens a connection for each caller.
func (s *server) dial(callers int, next func(worker int) func() prepared) (list []*caller, closeAll func(), err error) {
	closeAll = func() {
		for _, c := range list {
			_ = c.Close() // all answers were read
		}
	}
	for i := range callers {
		client, err := loadgen.DialRequester(s.address, s.headers...)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		list = append(list, &caller{Requester: client, next: next(i)})
	}
	return list, closeAll, nil
}

// turn measures a server once.
func (c *readCommand) turn(w workload, s *server, load loadgen.Params, next func(worker int) func() prepared,
	answered func(p prepared, answer []byte) error,
) (loadgen.Measurement, error) {
	callers, closeAll, err := s.dial(load.Callers, next)
	if err != nil {
		return loadgen.Measurement{}, err
	}
	defer closeAll()
	for _, one := range callers {
		one.answered = answered
	}
	return c.spent(w, s, func() (loadgen.Measurement, error) {
		return loadgen.Run(load, "reads", func(worker *loadgen.Worker) error { return callers[worker.Number].call(w.ask) })
	})
}

// spent runs one measurement, and prints it with the CPU time of a call.
func (c *readCommand) spent(w workload, s *server, measure func() (loadgen.Measurement, error)) (loadgen.Measurement, error) {
	runtime.GC() // the garbage of one variant is not collected in the turn of the next
	all, own := testbed.CPUTimes(), testbed.ProcessCPU(s.pid)
	m, err := measure()
	ownSpent, after := testbed.ProcessCPU(s.pid)-own, testbed.CPUTimes()
	m.CPU = ownSpent / time.Duration(max(m.Acknowledged, 1))
	if err = errors.Join(err, s.failure()); err != nil {
		return m, fmt.Errorf("%s: %w", s.name, err)
	}
	c.say("  %-16s %-44s %8.0f/s  p50 %7.3f ms  p99 %7.3f ms  server %6.1f µs a call; all: %s", w.name, s.name,
		m.PerSecond, results.P50Millis(m), results.P99Millis(m), cpuMicros(m),
		testbed.PerCall(all, after, m.Acknowledged))
	return m, nil
}

// measureTurns gives each variant one turn a round, over a shop whose products are all warm.
func measureTurns(ctx context.Context, c *readCommand, w workload) (rounds []results.Round, err error) {
	s, err := c.openShop(ctx, shopProducts)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close(ctx)) }()
	if err := s.fillFloors(ctx); err != nil {
		return nil, err
	}
	if err := s.startWanted(ctx, w); err != nil {
		return nil, err
	}
	var list []prepared
	if w.ask.variables == nil {
		list, err = s.pages(w.ask)
	} else {
		list = w.ask.prepare(s.products)
	}
	if err != nil {
		return nil, err
	}
	return c.rounds(w, s, drawn(list))
}

// startWanted starts the variants that the rows need.
func (s *shop) startWanted(ctx context.Context, w workload, environment ...string) error {
	for _, name := range []string{onhand, withoutNear, guarded, uninstrumented, sampled, everyTraced, jsonFloor, redisFloor, selectFloor, staticFloor, naiveFloor} {
		if !w.wants(name) {
			continue
		}
		var own []string
		if name == onhand {
			own = environment
		}
		if _, err := s.start(ctx, name, own...); err != nil {
			return err
		}
	}
	return nil
}

// rounds gives each server one turn a round, after one that does not count.
func (c *readCommand) rounds(w workload, s *shop, next func(worker int) func() prepared) (rounds []results.Round, err error) {
	split := max(min(w.split, int(c.Length/splitLengthMin)), 1)
	for i := range 1 + c.Rounds*split {
		one := results.Round{}
		for j := range s.running {
			server := s.running[(i+j)%len(s.running)] // no variant is always first
			load := loadgen.Params{Callers: w.callers, Warm: c.Warm / time.Duration(split), Length: c.Length / time.Duration(split)}
			if one[server.name], err = c.turn(w, server, load, next, nil); err != nil {
				return nil, err
			}
		}
		if i > 0 {
			rounds = append(rounds, one)
		}
	}
	return rounds, nil
}

// pages follows the cursors of a list, and makes a request of each.
func (s *shop) pages(q question) (list []prepared, err error) {
	client, err := loadgen.DialRequester(s.running[0].address)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, client.Close()) }()
	var after any
	for {
		p := prepared{body: q.body(map[string]any{"after": after})}
		answer, err := client.Do(client.AppendRequest(nil, p.body))
		if err != nil {
			return nil, err
		}
		data, err := readData(answer)
		if err != nil {
			return nil, err
		}
		list = append(list, p)
		if !data.Products.PageInfo.HasNextPage {
			return list, nil
		}
		after = data.Products.PageInfo.EndCursor
	}
}
