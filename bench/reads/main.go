package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/results"
	"onhand/bench/testbed"
)

// Lengths of a run, as in bench/groupcommit.
const (
	roundsFull, roundsQuick = 5, 3
	lengthFull, lengthQuick = 3 * time.Second, time.Second
	warmFull, warmQuick     = time.Second, 300 * time.Millisecond
	runsMax                 = 9
)

// How many products the workload has that is larger than the near cache.
const zipfProductsFull, zipfProductsQuick = 1_000_000, 50_000

// readCommand is the command line, and what belongs to one run.
type readCommand struct {
	Row            string        `default:"." help:"Only rows whose name matches this regular expression."`
	Quick          bool          `help:"Short rounds: less than a minute a row, for a first look."`
	Runs           int           `default:"1" help:"How often all rows are measured. The result of a row is its run with the middle ratio."`
	Rounds         int           `help:"How many rounds; at least 3. Default: 5, quick 3."`
	Length         time.Duration `help:"How long a turn is measured. Default: 3s, quick 1s."`
	Warm           time.Duration `help:"How long a turn warms up. Default: 1s, quick 300ms."`
	Products       int           `help:"How many products the rows named zipf have. Default: 1,000,000, quick 50,000."`
	Server         string        `type:"existingfile" help:"The program that is measured. Default: a build of this repository."`
	Uninstrumented string        `type:"existingfile" help:"The program built with the tag uninstrumented. Default: a build of this repository, where a row needs it."`
	Results        string        `default:"${results}" help:"Where to write the results; rows that are not measured stay there as they are. Not written by --quick, unless named."`
	Growth         bool          `help:"Print how the cost of a request grows with the products of the shop; no rows. --products measures one size."`
	Tables         string        `help:"With --growth, the file where the table is kept; usually ${tables}."`
	List           bool          `help:"List the rows and end."`

	out       io.Writer
	started   time.Time
	servers   *testbed.Servers
	databases int    // so far
	cold      int    // how many products a turn reads that were never read
	collector string // the URL of a collector of traces, where a workload has one
}

// Validate is called by kong.
func (c *readCommand) Validate() error {
	if _, err := regexp.Compile(c.Row); err != nil {
		return fmt.Errorf("--row: %w", err)
	}
	if c.Rounds != 0 && c.Rounds < 3 {
		return errors.New("--rounds must be 3 or more: a median of fewer says nothing")
	}
	if c.Runs < 1 || c.Runs > runsMax {
		return fmt.Errorf("--runs must be from 1 to %d", runsMax)
	}
	return nil
}

type commands struct {
	Run   readCommand  `cmd:"" default:"withargs" help:"Measure (the default)."`
	Floor floorCommand `cmd:"" hidden:""`
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("reads"), kong.Description("Measures stock queries, each figure beside its floor."),
		kong.Vars{"results": results.Path, "tables": results.GrowthPath})
	testbed.RunCommand(parsed)
}

// Run measures the rows that were asked for.
func (c *readCommand) Run(ctx context.Context) (err error) {
	c.out, c.started = os.Stdout, time.Now()
	sizes := c.growthSizes()
	c.setDefaults()
	selected, err := c.selectRows()
	if err != nil || c.List {
		return err
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
	fmt.Fprintf(c.out, "%d cores, %s. %d rounds of %s after %s of warming up.\n", runtime.NumCPU(), runtime.Version(), c.Rounds, c.Length, c.Warm)
	if c.Growth {
		return c.growth(ctx, sizes)
	}
	var runs []results.Result
	var failure error
	for run := 0; run < c.Runs && failure == nil; run++ {
		var measured []results.Result
		measured, failure = c.measure(ctx, selected)
		if c.Runs > 1 {
			results.Print(c.out, measured)
		}
		runs = append(runs, measured...)
	}
	middle := results.Middle(runs)
	results.Print(c.out, middle)
	if c.Runs > 1 {
		results.PrintMarkdown(c.out, middle)
	}
	if c.Quick && c.Results == results.Path {
		return failure
	}
	return errors.Join(failure, results.Write(c.Results, "reads", rowNames(), middle))
}

// measure measures the selected rows once. When a workload fails, it returns the rows before it too: they are right.
func (c *readCommand) measure(ctx context.Context, selected []workload) (list []results.Result, err error) {
	for _, w := range selected {
		rounds, err := w.measure(ctx, c, w)
		if err != nil {
			return list, fmt.Errorf("%s: %w", w.name, err)
		}
		for _, r := range w.rows {
			list = append(list, r.Result(w.name, rounds))
		}
	}
	return list, nil
}

func (c *readCommand) setDefaults() {
	rounds, length, warm, products := roundsFull, lengthFull, warmFull, zipfProductsFull
	if c.Quick {
		rounds, length, warm, products = roundsQuick, lengthQuick, warmQuick, zipfProductsQuick
	}
	if c.Rounds == 0 {
		c.Rounds = rounds
	}
	if c.Length <= 0 {
		c.Length = length
	}
	if c.Warm <= 0 {
		c.Warm = warm
	}
	if c.Products <= 0 {
		c.Products = products
	}
	c.cold = coldProducts
}

// selectRows returns the workloads with the rows of them that were asked for.
func (c *readCommand) selectRows() (list []workload, err error) {
	pattern := regexp.MustCompile(c.Row)
	for _, w := range workloads() {
		var rows []results.Row
		for _, r := range w.rows {
			if pattern.MatchString(r.Full(w.name)) {
				rows = append(rows, r)
				if c.List {
					fmt.Fprintln(c.out, r.Full(w.name))
				}
			}
		}
		if w.rows = rows; len(rows) > 0 {
			list = append(list, w)
		}
	}
	if len(list) == 0 {
		err = fmt.Errorf("no row matches %q; --list lists them", c.Row)
	}
	return list, err
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

// say prints one line of progress.
func (c *readCommand) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, time.Since(c.started).Truncate(time.Second).String()+format+"\n", args...) // there is nowhere else to report it
}
