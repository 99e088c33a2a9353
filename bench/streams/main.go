package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/loadgen"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// Lengths of a run.
const (
	roundsFull, roundsQuick   = 5, 1
	changesFull, changesQuick = 20, 10
	samplesFull, samplesQuick = 500, 200
	lengthFull, lengthQuick   = 5 * time.Second, 4 * time.Second
	runsMax                   = 9
)

// streamCommand is the command line, and what belongs to one run.
type streamCommand struct {
	Row     string        `default:"." help:"Only workloads whose name matches this regular expression."`
	Quick   bool          `help:"One short round, for a first look."`
	Runs    int           `default:"1" help:"How often all rows are measured. The result of a row is its run with the middle ratio."`
	Rounds  int           `help:"How many rounds. Default: 5, quick 1."`
	Changes int           `help:"How many changes of one product a turn has. Default: 20, quick 10."`
	Samples int           `help:"How many lone changes a turn has. Default: 500, quick 200."`
	Length  time.Duration `help:"How long many products change. Default: 5s, quick 4s."`
	Clients int           `default:"10000" help:"How many clients a turn has; a process has 20,000 files. The aims are for 10,000."`
	Idle    time.Duration `default:"3s" help:"How long clients are idle before memory is read."`
	Server  string        `type:"existingfile" help:"The program that is measured. Default: a build of this repository."`
	Results string        `default:"${results}" help:"Where to write the results; rows that are not measured stay there as they are. Not written by --quick, unless named."`
	Growth  bool          `help:"Print how costs grow with watchers, with subscriptions of a socket and with instances, and by the kind of Redis; no rows. --row chooses among these tables."`
	Tables  string        `help:"With --growth, the file where the tables are kept; usually ${tables}."`
	List    bool          `help:"List the rows and end."`

	out       io.Writer
	servers   *testbed.Servers
	databases int // so far
}

type commands struct {
	Run       streamCommand    `cmd:"" default:"withargs" help:"Measure (the default)."`
	Floor     floorCommand     `cmd:"" hidden:""`
	Publisher publisherCommand `cmd:"" hidden:""`
	Watch     watchCommand     `cmd:"" hidden:""`
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("streams"), kong.Description("Measures subscribers over WebSocket beside a bare server."),
		kong.Vars{"results": results.Path, "tables": results.GrowthPath})
	testbed.RunCommand(parsed)
}

func (c *streamCommand) setDefaults() {
	rounds, changes, samples, length := roundsFull, changesFull, samplesFull, lengthFull
	if c.Quick {
		rounds, changes, samples, length = roundsQuick, changesQuick, samplesQuick, lengthQuick
	}
	if c.Rounds <= 0 {
		c.Rounds = rounds
	}
	if c.Changes <= 0 {
		c.Changes = changes
	}
	if c.Samples <= 0 {
		c.Samples = samples
	}
	if c.Length <= 0 {
		c.Length = length
	}
}

// Validate is called by kong.
func (c *streamCommand) Validate() error {
	if _, err := regexp.Compile(c.Row); err != nil {
		return fmt.Errorf("--row: %w", err)
	}
	if c.Runs < 1 || c.Runs > runsMax {
		return fmt.Errorf("--runs must be from 1 to %d", runsMax)
	}
	return nil
}

// Run measures the workloads that were asked for.
func (c *streamCommand) Run(ctx context.Context) (err error) {
	c.out = os.Stdout
	c.setDefaults()
	pattern := regexp.MustCompile(c.Row)
	var selected []workload
	for _, w := range workloads() {
		if pattern.MatchString(w.name) {
			selected = append(selected, w)
		}
	}
	if c.List {
		_, err = fmt.Fprintln(c.out, strings.Join(rowNames(), "\n"))
		return err
	}
	if len(selected) == 0 && !c.Growth {
		return fmt.Errorf("no workload matches %q; --list lists the rows", c.Row)
	}
	if c.Server == "" {
		program, remove, err := testbed.BuildServer(ctx)
		if err != nil {
			return err
		}
		defer remove()
		c.Server = program
	}
	if c.servers, err = testbed.Start(false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.servers.Close()) }()
	fmt.Fprintf(c.out, "%d cores, %s. %d rounds.\n", runtime.NumCPU(), runtime.Version(), c.Rounds)
	if c.Growth {
		return c.growth(ctx, pattern)
	}
	var runs []results.Result
	var failure error
	for run := 0; run < c.Runs && failure == nil; run++ {
		var list []results.Result
		list, failure = c.measure(ctx, selected)
		runs = append(runs, list...)
	}
	measured := results.Middle(runs)
	results.Print(c.out, measured)
	if c.Runs > 1 {
		results.PrintMarkdown(c.out, measured)
	}
	if c.Quick && c.Results == results.Path {
		return failure
	}
	return errors.Join(failure, results.Write(c.Results, "streams", rowNames(), measured))
}

// rowNames are the names of all rows, in order.
func rowNames() (names []string) {
	for _, w := range workloads() {
		for _, r := range w.rows {
			names = append(names, r.Full(w.name))
		}
	}
	return names
}

// measure measures workloads. When one fails, it returns the rows before it too.
func (c *streamCommand) measure(ctx context.Context, selected []workload) (list []results.Result, err error) {
	for _, w := range selected {
		rounds, err := c.measureOne(ctx, w)
		if err != nil {
			return list, fmt.Errorf("%s: %w", w.name, err)
		}
		for _, r := range w.rows {
			list = append(list, r.Result(w.name, rounds))
		}
	}
	return list, nil
}

// measureOne measures a workload in a shop of its own.
func (c *streamCommand) measureOne(ctx context.Context, w workload) (_ []results.Round, err error) {
	shop, err := c.openShop(ctx, w.beside == "")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, shop.close(context.WithoutCancel(ctx))) }()
	return c.rounds(ctx, shop, w)
}

// rounds measures a workload: in each round every variant, in alternating order.
func (c *streamCommand) rounds(ctx context.Context, shop *shop, w workload) (rounds []results.Round, err error) {
	for n := range c.Rounds {
		round := results.Round{theAim: loadgen.Measurement{PerSecond: memoryAim}, theAim + " of goroutines": loadgen.Measurement{PerSecond: goroutinesAim}}
		variants := w.variants()
		if n%2 == 1 {
			slices.Reverse(variants)
		}
		for _, variant := range variants {
			if err := c.turn(ctx, shop, w, variant, round); err != nil {
				return nil, fmt.Errorf("%s: %w", variant, err)
			}
		}
		rounds = append(rounds, round)
	}
	return rounds, nil
}

func (c *streamCommand) turn(ctx context.Context, shop *shop, w workload, variant string, round results.Round) (err error) {
	server, err := shop.start(ctx, variant)
	if err != nil {
		return err
	}
	t := &turn{workload: w, shop: shop, server: server, round: round}
	defer func() { err = errors.Join(err, t.server.stop()) }()
	runtime.GC() // the garbage of one variant is not collected in the turn of the next
	if err := w.turn(c, ctx, t); err != nil {
		return err
	}
	fmt.Fprintln(c.out, t.describe())
	return ctx.Err()
}
