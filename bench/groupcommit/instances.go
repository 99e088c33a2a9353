package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/testbed"
)

// instanceCommand is one instance with callers of its own, in a process of its own.
type instanceCommand struct {
	fixture.StoreFlags
	Name    string        `required:""`
	Callers int           `required:""`
	Warm    time.Duration `required:""`
	Length  time.Duration `required:""`
}

// Run opens the store, says that it is ready, waits for a line, runs its callers, and prints what it measured.
func (c instanceCommand) Run(context.Context) error {
	st, err := c.Start()
	if err != nil {
		return err
	}
	defer st.Close()
	baskets, err := hotBaskets(nil)
	if err != nil {
		return err
	}
	fmt.Println(testbed.ReadyWord)
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	load := loadgen.Params{Callers: c.Callers, Warm: c.Warm, Length: c.Length}
	m, err := loadgen.Run(load, c.Name, reserveWith(st.Write, baskets.List))
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// openInstances compares two instances with one, on the same database.
func openInstances(ctx context.Context, c *measureCommand, _ workload, _ wanted) ([]variant, func() error, error) {
	var closing closers
	f, err := closing.fixture(ctx, c, []string{"hot"})
	if err != nil {
		return nil, nil, errors.Join(err, closing.close())
	}
	f.Leave()
	var sum loadgen.Measurement
	turns := 0
	instances := func(number int) func(loadgen.Params) (loadgen.Measurement, error) {
		return func(load loadgen.Params) (loadgen.Measurement, error) {
			turns++
			m, err := runInstances(ctx, f.StoreFlags, load, number, turns)
			sum = sum.Plus(m)
			return m, err
		}
	}
	// Both variants sell from the same level, so one audit covers both.
	audit := func(ctx context.Context, _ loadgen.Measurement) error {
		if err := f.AuditDeadlocks(ctx); err != nil {
			return err
		}
		if f.Store, err = f.Start(); err != nil {
			return err
		}
		defer f.Leave()
		return f.Audit(ctx, sum)
	}
	return []variant{
		{name: onhand, turn: instances(2), audit: audit, vacuum: f.Vacuum},
		{name: oneInstance, turn: instances(1)},
	}, closing.close, nil
}

// runInstances runs so many instances for one turn; they share the callers.
func runInstances(ctx context.Context, f fixture.StoreFlags, load loadgen.Params, number, turn int) (loadgen.Measurement, error) {
	var list []*testbed.Child
	for i := range number {
		c, err := testbed.StartChild(ctx, append([]string{"instance"}, append(f.Arguments(),
			"--name", fmt.Sprintf("instance%d-%d", turn, i), "--callers", strconv.Itoa(load.Callers/number),
			"--warm", load.Warm.String(), "--length", load.Length.String())...)...)
		if err != nil {
			return loadgen.Measurement{}, err
		}
		list = append(list, c)
	}
	for _, c := range list {
		if _, err := c.Stdin.Write([]byte("go\n")); err != nil {
			return loadgen.Measurement{}, err
		}
	}
	var total loadgen.Measurement
	for _, c := range list {
		var m loadgen.Measurement
		if err := errors.Join(json.NewDecoder(c.Stdout).Decode(&m), c.End()); err != nil {
			return loadgen.Measurement{}, err
		}
		total = total.Plus(m)
	}
	return total, nil
}
