package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// contender is one way to do what a scene asks.
type contender struct {
	name string
	// turn measures it once.
	turn func(load) (measure, error)
	// audit compares what was acknowledged in all turns with what is there.
	audit func(context.Context, measure) error
	// vacuum, where not nil, does what autovacuum does within a minute. A database that has just been made plans for
	// empty tables, which is not how a shop lives.
	vacuum func(context.Context) error
}

// The contenders' names, as rows refer to them.
const (
	ours          = "onhand"
	oneEach       = "one transaction each, same features"
	oneBareEach   = "one bare transaction each"
	luaForgetting = "a bare Redis Lua decrement, no persistence"
	luaDurable    = "a bare Redis Lua decrement, appendfsync always"
	oneEachServed = "one transaction each, same features, same server"
	nothingServed = "the same server with a resolver that writes nothing"
	oneCopy       = "one copy"
	quiet         = "quiet"
)

// scene is a load and those who take turns at it.
type scene struct {
	name    string
	callers int
	rows    []row
	// open makes the contenders that are wanted; ours is always among them.
	open func(ctx context.Context, b *bench, wanted func(name string) bool) (list []contender, closeAll func() error, err error)
	// alone, where not nil, measures the scene in its own way.
	alone func(ctx context.Context, b *bench) (rounds []round, err error)
}

// round is what each contender came to in one round, by name.
type round map[string]measure

// row is one line of the table: ours beside its floor.
type row struct {
	name   string
	beside string
	aim    float64
	atMost bool // the ratio must not be above the aim; otherwise not below
	// of picks the figure; perSecond unless said otherwise.
	of   func(measure) float64
	unit string
}

func perSecond(m measure) float64 { return m.PerSecond }
func p99Millis(m measure) float64 { return m.P99.Seconds() * 1000 }
func (r row) full(s scene) string { return s.name + ": " + r.name }
func (r row) figure(m measure) float64 {
	if r.of == nil {
		return perSecond(m)
	}
	return r.of(m)
}

// result is a row with its figures, as bench/results.json has it.
type result struct {
	Row    string  `json:"row"`
	Ours   float64 `json:"ours"`
	Beside float64 `json:"beside"`
	Ratio  float64 `json:"ratio"`
	Aim    string  `json:"aim"`
	Met    bool    `json:"met"`
	Unit   string  `json:"unit"`
}

// result sums up the rounds.
func (r row) result(s scene, rounds []round) result {
	var mine, theirs, ratios []float64
	for _, round := range rounds {
		m, t := r.figure(round[ours]), r.figure(round[r.beside])
		mine, theirs, ratios = append(mine, m), append(theirs, t), append(ratios, m/max(t, 1e-9))
	}
	out := result{Row: r.full(s), Ours: tidy(median(mine)), Beside: tidy(median(theirs)), Ratio: tidy(median(ratios)), Unit: r.unit}
	if out.Unit == "" {
		out.Unit = "reservations/s"
	}
	if r.atMost {
		out.Aim, out.Met = fmt.Sprintf("≤ %g", r.aim), median(ratios) <= r.aim
	} else {
		out.Aim, out.Met = fmt.Sprintf("≥ %g", r.aim), median(ratios) >= r.aim
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// tidy keeps three digits or so: more would pretend.
func tidy(v float64) float64 {
	for scale := 1.0; ; scale *= 10 {
		if v*scale >= 100 || scale == 1e6 {
			return float64(int(v*scale+0.5)) / scale
		}
	}
}

// measure runs a scene's rounds and audits it.
func (s scene) measure(ctx context.Context, b *bench, rows []row) ([]result, error) {
	rounds, err := s.rounds(ctx, b, rows)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	var results []result
	for _, r := range rows {
		results = append(results, r.result(s, rounds))
	}
	return results, nil
}

func (s scene) rounds(ctx context.Context, b *bench, rows []row) (rounds []round, err error) {
	if s.alone != nil {
		return s.alone(ctx, b)
	}
	wanted := func(name string) bool {
		return name == ours || slices.ContainsFunc(rows, func(r row) bool { return r.beside == name })
	}
	list, closeAll, err := s.open(ctx, b, wanted)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	totals := map[string]measure{}
	for _, c := range list {
		m, err := c.turn(load{callers: s.callers, length: b.Length})
		if err == nil && c.vacuum != nil {
			err = c.vacuum(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		totals[c.name] = m
	}
	for i := range b.Rounds {
		this := round{}
		for j := range list {
			c := list[(i+j)%len(list)] // nobody is always first
			m, err := b.turn(ctx, s, c, i)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			this[c.name] = m
			t := totals[c.name]
			totals[c.name] = measure{Acknowledged: t.Acknowledged + m.Acknowledged, Lines: t.Lines + m.Lines, Units: t.Units + m.Units}
		}
		rounds = append(rounds, this)
	}
	for _, c := range list {
		if err := c.audit(ctx, totals[c.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return rounds, nil
}

// turn measures a contender once and says so.
func (b *bench) turn(ctx context.Context, s scene, c contender, number int) (measure, error) {
	runtime.GC() // what others left behind is not this one's to clear away
	l := load{callers: s.callers, warm: b.Warm, length: b.Length}
	stop := func() error { return nil }
	if c.name == ours && b.Profile != "" {
		var err error
		if stop, err = b.startProfile(ctx, fmt.Sprintf("%s-%d", slug(s.name), number+1)); err != nil {
			return measure{}, err
		}
	}
	before := cpuTimes()
	m, err := c.turn(l)
	after := cpuTimes()
	if err = errors.Join(err, stop()); err != nil {
		return measure{}, err
	}
	b.say(b.out, "  %-16s %-52s %9.0f/s  p50 %8.2f ms  p99 %8.2f ms  CPU µs a call: %s", s.name, c.name,
		m.PerSecond, m.P50.Seconds()*1000, m.P99.Seconds()*1000, perCall(before, after, m.Acknowledged))
	return m, nil
}

func (b *bench) say(out io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(out, time.Since(b.started).Truncate(time.Second).String()+format+"\n", args...) // nobody to tell
}
