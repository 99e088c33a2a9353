package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"time"

	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// The names of the variants, as rows refer to them.
const (
	onhand             = "onhand"
	transactionEach    = "one transaction each, same features"
	bareEach           = "one bare transaction each"
	luaVolatile        = "a bare Redis Lua decrement, no persistence"
	luaDurable         = "a bare Redis Lua decrement, appendfsync always"
	oneInstance        = "one instance"
	twoInstances       = "two instances"
	eachServed         = "one transaction each, same features, same server"
	nothingServed      = "the same server with a resolver that writes nothing"
	nothingServedTwice = "two servers with a resolver that writes nothing"
	quietTime          = "quiet"
	releaseTime        = "until released"
	timeLimit          = "limit"
)

// variant is one way to do what a workload asks.
type variant struct {
	name string
	// turn measures it once.
	turn func(loadgen.Params) (loadgen.Measurement, error)
	// audit compares what was acknowledged in all turns with what the database has; nil where nothing is written.
	audit func(context.Context, loadgen.Measurement) error
	// vacuum does what autovacuum does within a minute; nil without a database. Without it a new database keeps the
	// query plans of empty tables.
	vacuum func(context.Context) error
	// profiled: --profile covers its turns.
	profiled bool
}

// wanted reports whether a selected row needs a variant.
type wanted func(name string) bool

// workload is a load with its variants and rows.
type workload struct {
	name    string
	callers int
	rows    []row
	// open makes the variants that are wanted.
	open opener
	// own, where not nil, measures the workload in its own way.
	own func(ctx context.Context, c *measureCommand) (rounds []round, err error)
}

// opener makes the variants of a workload. The caller closes what it opened.
type opener = func(context.Context, *measureCommand, workload, wanted) (list []variant, closeAll func() error, err error)

// measure runs a workload's rounds, audits it, and sums up the rows.
func (w workload) measure(ctx context.Context, c *measureCommand, rows []row) ([]result, error) {
	rounds, err := w.rounds(ctx, c, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", w.name, err)
	}
	var results []result
	for _, r := range rows {
		results = append(results, r.Result(w.name, rounds))
	}
	return results, nil
}

func (w workload) rounds(ctx context.Context, c *measureCommand, rows []row) (rounds []round, err error) {
	if w.own != nil {
		return w.own(ctx, c)
	}
	list, closeAll, err := w.open(ctx, c, w, func(name string) bool {
		return slices.ContainsFunc(rows, func(r row) bool { return r.Ours == name || r.Beside == name })
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	totals, err := w.warmUp(ctx, c, list)
	if err != nil {
		return nil, err
	}
	for i := range c.Rounds {
		one := round{}
		for j := range list {
			v := list[(i+j)%len(list)] // no variant is always first
			if one[v.name], err = c.turn(ctx, w, v, i); err != nil {
				return nil, fmt.Errorf("%s: %w", v.name, err)
			}
			totals[v.name] = totals[v.name].Plus(one[v.name])
		}
		rounds = append(rounds, one)
	}
	for _, v := range list {
		if v.audit == nil {
			continue
		}
		if err := v.audit(ctx, totals[v.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	return rounds, nil
}

// warmUp gives each variant one turn that is not measured, and then its statistics.
func (w workload) warmUp(ctx context.Context, c *measureCommand, list []variant) (map[string]loadgen.Measurement, error) {
	totals := map[string]loadgen.Measurement{}
	for _, v := range list {
		m, err := v.turn(loadgen.Params{Callers: w.callers, Length: c.Length})
		if err == nil && v.vacuum != nil {
			err = v.vacuum(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
		totals[v.name] = m
	}
	return totals, nil
}

// turn measures a variant once and prints the figures.
func (c *measureCommand) turn(ctx context.Context, w workload, v variant, number int) (loadgen.Measurement, error) {
	runtime.GC() // the garbage of one variant is not collected in the turn of the next
	stop := func() error { return nil }
	if v.profiled {
		var err error
		if stop, err = c.startProfile(ctx, fmt.Sprintf("%s-%d", slug(w.name), number+1)); err != nil {
			return loadgen.Measurement{}, err
		}
	}
	before := testbed.CPUTimes()
	m, err := v.turn(loadgen.Params{Callers: w.callers, Warm: c.Warm, Length: c.Length})
	after := testbed.CPUTimes()
	if err = errors.Join(err, stop()); err != nil {
		return loadgen.Measurement{}, err
	}
	m.CPU = (after.Children() - before.Children()) / time.Duration(max(m.Acknowledged, 1))
	c.say("  %-18s %-52s %9.0f/s  p50 %8.2f ms  p99 %8.2f ms  CPU µs a call: %s", w.name, v.name,
		m.PerSecond, m.P50.Seconds()*1000, p99Millis(m), testbed.PerCall(before, after, m.Acknowledged))
	return m, nil
}
