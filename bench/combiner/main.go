package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// Lengths of a run: long enough that a checkpoint or a neighbour's burst is one round's, not the median's.
const (
	roundsFull, roundsQuick = 5, 3
	lengthFull, lengthQuick = 3 * time.Second, time.Second
	warmFull, warmQuick     = time.Second, 300 * time.Millisecond
)

// resultsFile is where the results of a full run are kept, from the top of the repository.
const resultsFile = "bench/results.json"

// bench is the command line and what belongs to one run.
type bench struct {
	Row     string        `default:"." help:"Only rows whose name matches this regular expression."`
	Quick   bool          `help:"Short rounds: less than a minute a row, for a first look."`
	Rounds  int           `help:"How often everybody takes a turn; at least 3. Default: 5, quick 3."`
	Length  time.Duration `help:"How long a turn is measured. Default: 3s, quick 1s."`
	Warm    time.Duration `help:"How long a turn warms up. Default: 1s, quick 300ms."`
	Baskets string        `env:"ONLINE_RETAIL" default:"online_retail.csv.gz" help:"The Online Retail CSV, plain or compressed, for carts; without it they are made up."`
	Results string        `default:"${results}" help:"Where to write the results; rows that were not run stay as they are there. Not written by --quick, unless named."`
	Profile string        `type:"path" help:"Also write CPU profiles and the database's statements of our turns into this folder. It costs a few percent."`
	List    bool          `help:"List the rows and end."`

	out       io.Writer
	started   time.Time
	servers   *servers
	databases int
}

// Validate is called by kong.
func (b *bench) Validate() error {
	if _, err := regexp.Compile(b.Row); err != nil {
		return fmt.Errorf("--row: %w", err)
	}
	if b.Rounds != 0 && b.Rounds < 3 {
		return errors.New("--rounds must be 3 or more: a median of fewer is none")
	}
	return nil
}

type commands struct {
	Run  bench       `cmd:"" default:"withargs" help:"Measure (the default)."`
	Copy copyCommand `cmd:"" hidden:""`
}

func main() {
	var c commands
	parsed := kong.Parse(&c, kong.Name("combiner"), kong.Description("Measures reservations, each figure beside its floor."),
		kong.Vars{"results": resultsFile})
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program at once
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Run measures every row that was asked for.
func (b *bench) Run(ctx context.Context) (err error) {
	b.out, b.started = os.Stdout, time.Now()
	b.setDefaults()
	plan, err := b.plan()
	if err != nil || b.List {
		return err
	}
	if b.Profile != "" {
		if err := os.MkdirAll(b.Profile, 0o755); err != nil {
			return err
		}
	}
	if b.servers, err = startServers(b.Profile != ""); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.servers.close()) }()
	fmt.Fprintf(b.out, "%d cores, %s. %d rounds of %s after %s of warming up.\n", runtime.NumCPU(), runtime.Version(), b.Rounds, b.Length, b.Warm)
	if err := b.servers.describe(ctx, b.out); err != nil {
		return err
	}
	var results []result
	var failure error
	for _, p := range plan {
		measured, err := p.scene.measure(ctx, b, p.rows)
		if err != nil {
			failure = err
			break // what was measured before it is right all the same
		}
		results = append(results, measured...)
	}
	printTable(b.out, results)
	if b.Quick && b.Results == resultsFile {
		return failure
	}
	return errors.Join(failure, writeResults(b.Results, results))
}

func (b *bench) setDefaults() {
	rounds, length, warm := roundsFull, lengthFull, warmFull
	if b.Quick {
		rounds, length, warm = roundsQuick, lengthQuick, warmQuick
	}
	if b.Rounds == 0 {
		b.Rounds = rounds
	}
	if b.Length <= 0 {
		b.Length = length
	}
	if b.Warm <= 0 {
		b.Warm = warm
	}
}

// planned is a scene with the rows of it that are wanted.
type planned struct {
	scene scene
	rows  []row
}

func (b *bench) plan() (plan []planned, err error) {
	pattern := regexp.MustCompile(b.Row)
	for _, s := range scenes() {
		var rows []row
		for _, r := range s.rows {
			if pattern.MatchString(r.full(s)) {
				rows = append(rows, r)
				if b.List {
					fmt.Fprintln(b.out, r.full(s))
				}
			}
		}
		if len(rows) > 0 {
			plan = append(plan, planned{s, rows})
		}
	}
	if len(plan) == 0 {
		err = fmt.Errorf("no row matches %q; --list lists them", b.Row)
	}
	return plan, err
}

func printTable(out io.Writer, results []result) {
	fmt.Fprintf(out, "\n%-84s %12s %12s %9s %8s\n", "row", "onhand", "beside", "ratio", "aim")
	for _, r := range results {
		verdict := "met"
		if !r.Met {
			verdict = "MISSED"
		}
		fmt.Fprintf(out, "%-84s %12.6g %12.6g %9.3g %8s  %s\n", r.Row, r.Ours, r.Beside, r.Ratio, r.Aim, verdict)
	}
}

// writeResults puts the results into the file, each in the place of its row; the order is that of the scenes.
func writeResults(path string, results []result) error {
	byRow := map[string]result{}
	var kept []result
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, &kept)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, r := range append(kept, results...) {
		byRow[r.Row] = r
	}
	ordered := []result{}
	for _, s := range scenes() {
		for _, row := range s.rows {
			if r, ok := byRow[row.full(s)]; ok {
				ordered = append(ordered, r)
			}
		}
	}
	if raw, err = json.MarshalIndent(ordered, "", "  "); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(raw, '\n'), 0o644)
}
