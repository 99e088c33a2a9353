package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

const (
	// products is how many the shop has; they fit into every cache.
	products = 1_000
	// pageProducts is how many a page asks for.
	pageProducts = 20
)

// command is the command line.
type command struct {
	Rounds  int           `default:"3" help:"How often each topology is measured."`
	Length  time.Duration `default:"1500ms" help:"How long a turn is measured."`
	Warm    time.Duration `default:"500ms" help:"How long a turn warms up."`
	Callers int           `default:"128" help:"Callers at once."`
	Server  string        `type:"existingfile" help:"The program that is measured. Default: a build of this repository."`
}

// Validate is called by kong.
func (c *command) Validate() error {
	if c.Rounds < 1 || c.Callers < 1 || c.Callers > 4096 {
		return errors.New("--rounds must be 1 or more, --callers from 1 to 4096")
	}
	return nil
}

func main() {
	var c command
	parsed := kong.Parse(&c, kong.Name("topology"), kong.Description("Measures one, two and four instances, directly and behind haproxy."))
	testbed.RunCommand(parsed)
}

// topology is how many instances run, and whether haproxy is before them.
type topology struct {
	name      string
	instances int
	balanced  bool
}

var topologies = []topology{
	{"1 instance", 1, false}, {"1 behind haproxy", 1, true}, {"2 behind haproxy", 2, true}, {"4 behind haproxy", 4, true},
}

// workload is what callers do; dial opens the connections of so many callers to an address.
type workload struct {
	name string
	dial func(address string, callers int) (call func(*loadgen.Worker) error, closeAll func() error, err error)
}

var workloads = []workload{{"pages of 20 products", dialPages}, {"reservations of one product", dialReservations}}

// turn is one measurement.
type turn struct {
	loadgen.Measurement
	cpu string
}

// Run measures everything.
func (c *command) Run(ctx context.Context) (err error) {
	if c.Server == "" {
		program, remove, err := testbed.BuildServer(ctx)
		if err != nil {
			return err
		}
		defer remove()
		c.Server = program
	}
	measured := topologies
	proxy := haproxyPath()
	if proxy == "" {
		fmt.Println("no haproxy: one instance alone is measured")
		measured = topologies[:1]
	}
	servers, err := testbed.Start(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	b := &bed{command: c, servers: servers, proxy: proxy}
	if err := b.fill(ctx); err != nil {
		return err
	}
	fmt.Printf("%d cores, %s. %d rounds of %s after %s of warming up, %d callers.\n", runtime.NumCPU(), runtime.Version(), c.Rounds, c.Length, c.Warm, c.Callers)
	for _, w := range workloads {
		turns := map[string][]turn{}
		for range c.Rounds {
			for _, top := range measured {
				t, err := b.measure(ctx, top, w)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", w.name, top.name, err)
				}
				turns[top.name] = append(turns[top.name], t)
			}
		}
		report(w.name, measured, turns)
	}
	return nil
}

// report prints the medians of one workload.
func report(name string, measured []topology, turns map[string][]turn) {
	fmt.Printf("\n%s\n\n| topology | ratio | calls/s | p50 | p99 | CPU for one call, µs |\n|---|---|---|---|---|---|\n", name)
	for _, top := range measured {
		list := turns[top.name]
		ratios := make([]float64, len(list))
		for n, t := range list {
			ratios[n] = t.PerSecond / turns[measured[0].name][n].PerSecond
		}
		slices.Sort(ratios)
		list = slices.Clone(list)
		slices.SortFunc(list, func(a, b turn) int { return int(a.PerSecond - b.PerSecond) })
		middle := list[len(list)/2]
		fmt.Printf("| %s | %.2f | %.0f | %.1f ms | %.1f ms | %s |\n", top.name, ratios[len(ratios)/2], middle.PerSecond,
			middle.P50.Seconds()*1000, middle.P99.Seconds()*1000, middle.cpu)
	}
}

func haproxyPath() string {
	for _, path := range []string{"/usr/sbin/haproxy", "/usr/bin/haproxy", "/usr/local/sbin/haproxy", "/opt/homebrew/bin/haproxy"} {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}
