package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// evenProducts is how many products the even load is spread over.
const evenProducts = 10_000

// command is the command line.
type command struct {
	Before      string        `required:"" type:"existingfile" help:"The server before the change."`
	After       string        `required:"" type:"existingfile" help:"The server after the change."`
	Workload    string        `default:"hot" enum:"hot,even,carts" help:"hot (one product), even (10,000 products) or carts (baskets of 20)."`
	Connections int           `default:"64" help:"How many HTTP connections, over all instances."`
	Instances   int           `default:"1" help:"How many processes of each build, on one database and one Redis."`
	PerOwner    bool          `help:"Products have a limit for each owner (maxPerOwner), and each reservation another owner."`
	Rounds      int           `default:"9" help:"How many rounds; at least 3."`
	Length      time.Duration `default:"3s" help:"How long a turn is measured."`
	Warm        time.Duration `default:"1s" help:"How long a turn warms up."`
	Baskets     string        `env:"ONLINE_RETAIL" default:"online_retail.csv.gz" help:"The Online Retail CSV for carts. Without it they are generated."`
}

// Validate is called by kong.
func (c command) Validate() error {
	if c.Rounds < 3 || c.Connections < 1 || c.Instances < 1 || c.Length <= 0 {
		return errors.New("--rounds must be 3 or more, --connections and --instances 1 or more, --length above 0")
	}
	return nil
}

func main() {
	var c command
	kong.Parse(&c, kong.Name("alternate"), kong.Description("Compares two builds of the server in alternating rounds."))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends the program at once
	if err := c.run(ctx, os.Stdout); err != nil {
		stop()
		fmt.Fprintln(os.Stderr, "alternate:", err)
		os.Exit(1)
	}
}

// baskets are those of the workload.
func (c command) baskets() (loadgen.Baskets, error) {
	switch c.Workload {
	case "even":
		products := loadgen.Numbered(evenProducts)
		return loadgen.Baskets{Products: products, List: loadgen.Single(products)}, nil
	case "carts":
		return loadgen.ReadBaskets(c.Baskets)
	}
	products := []string{"hot"}
	return loadgen.Baskets{Products: products, List: loadgen.Single(products)}, nil
}

// run compares the builds and prints the comparison.
func (c command) run(ctx context.Context, out io.Writer) (err error) {
	baskets, err := c.baskets()
	if err != nil {
		return err
	}
	servers, err := testbed.Start(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, servers.Close()) }()
	if err := servers.Describe(ctx, out); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s, %d connections, %d instances, %d rounds of %s after %s of warming up. %s\n",
		c.Workload, c.Connections, c.Instances, c.Rounds, c.Length, c.Warm, baskets.Source)
	var builds []*build
	defer func() {
		for _, b := range builds {
			err = errors.Join(err, b.close(context.WithoutCancel(ctx)))
		}
	}()
	for _, b := range []*build{{name: before, program: c.Before}, {name: after, program: c.After}, {name: again, program: c.Before}} {
		b.perOwner = c.PerOwner
		builds = append(builds, b)
		if err := b.open(ctx, servers, c.Instances, c.Connections, baskets); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		// The turn that is not counted comes at once: the server closes a connection whose first request is late.
		if _, err := b.turn(loadgen.Params{Callers: c.Connections, Length: c.Length}); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if err := b.vacuum(ctx); err != nil {
			return err
		}
	}
	rounds, err := c.measure(ctx, out, builds)
	if err != nil {
		return err
	}
	for _, b := range builds {
		if err := b.audit(ctx); err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
	}
	printComparison(out, rounds)
	return nil
}

// measure gives each build one turn a round.
func (c command) measure(ctx context.Context, out io.Writer, builds []*build) (rounds []turns, err error) {
	for i := range c.Rounds {
		one := turns{}
		for j := range builds {
			b := builds[(i+j)%len(builds)] // no build is always first
			if one[b.name], err = b.turn(loadgen.Params{Callers: c.Connections, Warm: c.Warm, Length: c.Length}); err != nil {
				return nil, fmt.Errorf("%s: %w", b.name, err)
			}
		}
		rounds = append(rounds, one)
		fmt.Fprintf(out, "round %2d:", i+1)
		for _, b := range builds {
			fmt.Fprintf(out, "  %s %.0f/s p99 %.1f ms CPU %.0f µs", b.name, one[b.name].perSecond, one[b.name].p99Millis, one[b.name].cpuMicros)
		}
		fmt.Fprintln(out)
	}
	return rounds, nil
}
