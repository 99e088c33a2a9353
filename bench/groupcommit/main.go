package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/fixture"
	"onhand/bench/results"
	"onhand/bench/testbed"
)

// Lengths of a run: long enough that a checkpoint, or a burst of a neighbour, falls into one round and not the median.
const (
	roundsFull, roundsQuick = 5, 3
	lengthFull, lengthQuick = 3 * time.Second, time.Second
	warmFull, warmQuick     = time.Second, 300 * time.Millisecond
)

// runsMax bounds a measurement: nine full runs take about five hours.
const runsMax = 9

// measureCommand is the command line, and what belongs to one run.
type measureCommand struct {
	Row     string        `default:"." help:"Only rows whose name matches this regular expression."`
	Quick   bool          `help:"Short rounds: less than a minute a row, for a first look."`
	Runs    int           `default:"1" help:"How often all rows are measured. The result of a row is its run with the middle ratio."`
	Rounds  int           `help:"How many rounds; at least 3. Default: 5, quick 3."`
	Length  time.Duration `help:"How long a turn is measured. Default: 3s, quick 1s."`
	Warm    time.Duration `help:"How long a turn warms up. Default: 1s, quick 300ms."`
	Baskets string        `env:"ONLINE_RETAIL" default:"online_retail.csv.gz" help:"The Online Retail CSV, plain or compressed, for carts. Without it they are generated."`
	Results string        `default:"${results}" help:"Where to write the results; rows that are not measured stay there as they are. Not written by --quick, unless named."`
	Profile string        `type:"path" help:"Also write CPU profiles of this process, and the statements of the database, into this folder. It costs a few percent."`
	Without []string      `placeholder:"NAME" help:"Switch an optimisation of the write path off: ${switches}. The results are not written, unless --results names a file."`
	Judge   bool          `help:"Instead of the rows, what each optimisation of the write path gains over GraphQL: with all beside without it, in alternating rounds. The results are not written."`
	List    bool          `help:"List the rows and end."`

	out       io.Writer
	started   time.Time
	servers   *testbed.Servers
	databases int // so far
}

// Validate is called by kong.
func (c *measureCommand) Validate() error {
	if _, err := regexp.Compile(c.Row); err != nil {
		return fmt.Errorf("--row: %w", err)
	}
	if c.Rounds != 0 && c.Rounds < 3 {
		return errors.New("--rounds must be 3 or more: a median of fewer says nothing")
	}
	if c.Runs < 1 || c.Runs > runsMax {
		return fmt.Errorf("--runs must be from 1 to %d", runsMax)
	}
	return fixture.CheckSwitches(c.Without)
}

type commands struct {
	Run      measureCommand  `cmd:"" default:"withargs" help:"Measure (the default)."`
	Instance instanceCommand `cmd:"" hidden:""`
	Serve    apiCommand      `cmd:"" hidden:""`
}

// variables are those of the help texts.
func variables() kong.Vars {
	return kong.Vars{"results": results.Path, "switches": strings.Join(fixture.Switches(), ", ")}
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("groupcommit"), kong.Description("Measures reservations, each figure beside its floor."),
		variables())
	testbed.RunCommand(parsed)
}

// Run measures the rows that were asked for.
func (c *measureCommand) Run(ctx context.Context) (err error) {
	c.out, c.started = os.Stdout, time.Now()
	c.setDefaults()
	selected, err := c.selectRows()
	if err != nil || c.List {
		return err
	}
	if c.Profile != "" {
		if err := os.MkdirAll(c.Profile, 0o755); err != nil {
			return err
		}
	}
	var more []testbed.Option
	if c.Judge {
		more = append(more, testbed.WithConnections(judgedConnections))
	}
	if c.servers, err = testbed.Start(c.Profile != "", more...); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.servers.Close()) }()
	fmt.Fprintf(c.out, "%d rounds of %s after %s of warming up. ", c.Rounds, c.Length, c.Warm)
	if err := c.servers.Describe(ctx, c.out); err != nil {
		return err
	}
	var runs []result
	var failure error
	for run := 0; run < c.Runs && failure == nil; run++ {
		var measured []result
		measured, failure = c.measure(ctx, selected)
		if c.Runs > 1 {
			results.Print(c.out, measured)
		}
		runs = append(runs, measured...)
	}
	middle := results.Middle(runs)
	results.Print(c.out, middle)
	if c.Judge {
		return failure
	}
	if c.Runs > 1 {
		results.PrintMarkdown(c.out, middle)
	}
	if (c.Quick || len(c.Without) > 0) && c.Results == results.Path {
		return failure
	}
	return errors.Join(failure, results.Write(c.Results, "groupcommit", rowNames(), middle))
}

// measure measures the selected rows once. When a workload fails, it returns the rows before it too: they are right.
func (c *measureCommand) measure(ctx context.Context, selected []selection) (list []result, err error) {
	for _, s := range selected {
		measured, err := s.workload.measure(ctx, c, s.rows)
		if err != nil {
			return list, err
		}
		list = append(list, measured...)
	}
	return list, nil
}

func (c *measureCommand) setDefaults() {
	rounds, length, warm := roundsFull, lengthFull, warmFull
	if c.Quick {
		rounds, length, warm = roundsQuick, lengthQuick, warmQuick
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
}

// selection is a workload with the rows of it that were asked for.
type selection struct {
	workload workload
	rows     []row
}

func (c *measureCommand) selectRows() (list []selection, err error) {
	pattern := regexp.MustCompile(c.Row)
	all := workloads()
	if c.Judge {
		all = judgedWorkloads()
	}
	for _, w := range all {
		var rows []row
		for _, r := range w.rows {
			if pattern.MatchString(r.Full(w.name)) {
				rows = append(rows, r)
				if c.List {
					fmt.Fprintln(c.out, r.Full(w.name))
				}
			}
		}
		if len(rows) > 0 {
			list = append(list, selection{w, rows})
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

// newName is the name of one more database.
func (c *measureCommand) newName(kind string) string {
	c.databases++
	return kind + strconv.Itoa(c.databases)
}

// say prints one line of progress.
func (c *measureCommand) say(format string, args ...any) {
	_, _ = fmt.Fprintf(c.out, time.Since(c.started).Truncate(time.Second).String()+format+"\n", args...) // there is nowhere else to report it
}
