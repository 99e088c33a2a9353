package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/results"
	"onhand/bench/testbed"
)

// Lengths of a turn.
const (
	lengthFull, lengthQuick = 5 * time.Second, 2 * time.Second
	warmFull, warmQuick     = 2 * time.Second, time.Second
	// programMax bounds a table of another program.
	programMax = 15 * time.Minute
	buildMax   = 10 * time.Minute
)

// scaleCommand is the command line, and what belongs to one run.
type scaleCommand struct {
	Table    string        `default:"." help:"Only tables whose name matches this regular expression."`
	Quick    bool          `help:"Smaller sizes and shorter turns, for a first look. The tables are not kept, unless --tables names a file."`
	Products int           `help:"Only this size of the table named products."`
	Length   time.Duration `help:"How long a turn is measured. Default: 5s, quick 2s."`
	Programs string        `type:"existingdir" help:"The folder with builds of onhand, reads and streams. Default: they are built."`
	Tables   string        `default:"${tables}" help:"Where to keep the tables. Sizes that are not measured stay there as they are."`
	List     bool          `help:"List the tables and end."`

	out       io.Writer
	servers   *testbed.Servers
	warm      time.Duration
	databases int      // so far
	columns   []string // of the table that is measured
}

type commands struct {
	Run  scaleCommand `cmd:"" default:"withargs" help:"Measure, then write the page and its pictures (the default)."`
	Draw drawCommand  `cmd:"" help:"Write the page and its pictures from the tables that are kept."`
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("scale"), kong.Description("Measures how costs grow, and writes docs/scaling.md."),
		kong.Vars{"tables": results.GrowthPath})
	testbed.RunCommand(parsed)
}

// Validate is called by kong.
func (c *scaleCommand) Validate() error {
	if _, err := regexp.Compile(c.Table); err != nil {
		return fmt.Errorf("--table: %w", err)
	}
	return nil
}

// table is one table of growth. Those of another program have neither columns nor measure: they are in that program.
type table struct {
	name    string
	program string
	columns []string
	lines   int // of a whole table
	measure func(*scaleCommand, context.Context) (*results.Growth, error)
}

// tables are those of the page, in its order.
func tables() []table {
	kinds, sizes := len(testbed.RedisKinds), len(instancesFull)
	return []table{
		{name: "products", program: "reads"},
		{name: "changes", columns: costColumns, lines: len(ratesFull), measure: (*scaleCommand).changes},
		{name: "hot changes", columns: costColumns, lines: len(ratesFull), measure: (*scaleCommand).hotChanges},
		{name: "instances", columns: costColumns, lines: sizes, measure: (*scaleCommand).instances},
		{name: "listening instances", columns: costColumns, lines: sizes, measure: (*scaleCommand).listening},
		{name: "watchers", program: "streams"},
		{name: "subscriptions", program: "streams"},
		{name: "watched instances", program: "streams"},
		{name: "many watchers", program: "streams"},
		{name: "pages by Redis", columns: redisPageColumns, lines: 2 * kinds, measure: (*scaleCommand).redisPages},
		{name: "reservations by Redis", columns: redisColumns, lines: 2 * kinds, measure: (*scaleCommand).redisReservations},
		{name: "frames by Redis", program: "streams"},
		{name: "published messages", columns: publishedColumns, lines: len(subscribersFull), measure: (*scaleCommand).published},
		{name: "pgbouncer", columns: poolerColumns, lines: 4, measure: (*scaleCommand).pooled},
		{name: "pages behind haproxy", columns: balancedPageColumns, lines: 2 * sizes, measure: (*scaleCommand).balancedPages},
		{name: "reservations behind haproxy", columns: balancedColumns, lines: 2 * sizes, measure: (*scaleCommand).balancedReservations},
		{name: "read replica", columns: replicaColumns, lines: 6, measure: (*scaleCommand).readReplica},
	}
}

// Run measures the tables that were asked for.
func (c *scaleCommand) Run(ctx context.Context) (err error) {
	c.out = os.Stdout
	c.setDefaults()
	pattern := regexp.MustCompile(c.Table)
	var selected []table
	for _, t := range tables() {
		if pattern.MatchString(t.name) {
			selected = append(selected, t)
			if c.List {
				fmt.Fprintln(c.out, t.name)
			}
		}
	}
	if len(selected) == 0 {
		return fmt.Errorf("no table matches %q; --list lists them", c.Table)
	}
	if c.List {
		return nil
	}
	if c.Programs == "" {
		remove, err := c.build(ctx)
		if err != nil {
			return err
		}
		defer remove()
	}
	for _, t := range selected {
		if err := c.one(ctx, t); err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	if c.Tables == "" {
		return nil
	}
	return drawCommand{Tables: c.Tables}.Run()
}

func (c *scaleCommand) setDefaults() {
	length := lengthFull
	c.warm = warmFull
	if c.Quick {
		length, c.warm = lengthQuick, warmQuick
		if c.Tables == results.GrowthPath {
			c.Tables = ""
		}
	}
	if c.Length <= 0 {
		c.Length = length
	}
}

// build builds the programs into a temporary folder, which remove removes.
func (c *scaleCommand) build(ctx context.Context) (remove func(), err error) {
	folder, err := os.MkdirTemp("", "onhand-scale-")
	if err != nil {
		return nil, err
	}
	remove = func() { _ = os.RemoveAll(folder) } // a temporary folder
	ctx, cancel := context.WithTimeout(ctx, buildMax)
	defer cancel()
	build := exec.CommandContext(ctx, "go", "build", "-o", folder+string(filepath.Separator), "onhand", "onhand/bench/reads", "onhand/bench/streams")
	if output, err := build.CombinedOutput(); err != nil {
		remove()
		return nil, fmt.Errorf("build the programs: %w: %s", err, output)
	}
	c.Programs = folder
	return remove, nil
}

func (c *scaleCommand) program(name string) string { return filepath.Join(c.Programs, name) }

// one measures one table, prints and keeps it.
func (c *scaleCommand) one(ctx context.Context, t table) (err error) {
	if t.program != "" {
		return c.runProgram(ctx, t)
	}
	if c.servers, err = testbed.Start(false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.servers.Close()) }()
	fmt.Fprintf(c.out, "\n%s: ", t.name)
	if err := c.servers.Describe(ctx, c.out); err != nil {
		return err
	}
	c.columns = t.columns
	grown, err := t.measure(c, ctx)
	grown.Print(c.out)
	return errors.Join(err, grown.Keep(c.Tables, t.name))
}

// runProgram has another program measure a table. It keeps the table itself.
func (c *scaleCommand) runProgram(ctx context.Context, t table) error {
	ctx, cancel := context.WithTimeout(ctx, programMax)
	defer cancel()
	arguments := []string{"--growth", "--server", c.program("onhand"), "--tables", c.Tables}
	if c.Quick {
		arguments = append(arguments, "--quick")
	}
	switch {
	case t.program == "streams":
		arguments = append(arguments, "--row", "^"+t.name+"$")
	case c.Products > 0:
		arguments = append(arguments, "--products", strconv.Itoa(c.Products))
	}
	command := exec.CommandContext(ctx, c.program(t.program), arguments...)
	command.Stdout, command.Stderr = c.out, os.Stderr
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // so that it ends its servers
	command.WaitDelay = time.Minute
	return command.Run()
}
