package main

import (
	"context"
	"errors"
	"fmt"

	"onhand/bench/fixture"
	"onhand/bench/loadgen"
	"onhand/bench/results"
)

// The variants of --judge. The one with all optimisations takes part twice: the ratio of the two is the noise.
const (
	withAll      = "all"
	withAllAgain = "all again"
)

const (
	// judgedConnections are enough for the pools of all servers.
	judgedConnections = "400"
	// coldProducts is how many products a load has that asks for most of them the first time.
	coldProducts = 100_000
)

// cpuMicros is the CPU time of a call: of the servers, Postgres and Redis.
func cpuMicros(m loadgen.Measurement) float64 { return m.CPU.Seconds() * 1e6 }

// coldBaskets are one unit of any of many products.
func coldBaskets(*measureCommand) (loadgen.Baskets, error) {
	products := loadgen.Numbered(coldProducts)
	return loadgen.Baskets{Products: products, List: loadgen.Single(products)}, nil
}

// judgedWorkloads compare all optimisations of the write path with all but one, over GraphQL and in the process.
func judgedWorkloads() (list []workload) {
	for _, kind := range append(servedLoads, servedLoad{"cold", coldBaskets}) {
		for _, connections := range []int{64, 512} {
			for _, instances := range []int{1, 2} {
				var variants []servedVariant
				for _, j := range judged() {
					variants = append(variants, servedVariant{name: j.name, writer: writerOnhand, servers: instances, without: j.without})
				}
				list = append(list, workload{
					name:    fmt.Sprintf("graphql %s %d, instances %d", kind.name, connections, instances),
					callers: connections, open: openServed(kind.baskets, variants), rows: judgedRows(true),
				})
			}
		}
	}
	for _, callers := range []int{1, 512} {
		list = append(list, workload{name: fmt.Sprintf("hot %d", callers), callers: callers, open: openJudged, rows: judgedRows(false)})
	}
	return list
}

type judgedVariant struct {
	name    string
	without []string
}

func judged() []judgedVariant {
	list := []judgedVariant{{name: withAll}, {name: withAllAgain}}
	for _, name := range fixture.Switches() {
		list = append(list, judgedVariant{"without " + name, []string{name}})
	}
	return list
}

// judgedRows compare the calls and, for servers in processes of their own, the CPU time. A ratio of the calls above 1,
// and one of the CPU time below 1, is a gain.
func judgedRows(served bool) (rows []row) {
	for _, j := range judged()[1:] {
		rows = append(rows, withDefaults(row{Ours: withAll, Beside: j.name, Of: results.PerSecond}))
		if served {
			rows = append(rows, withDefaults(row{Name: "CPU, " + withAll + " beside " + j.name, Ours: withAll, Beside: j.name, Of: cpuMicros, Unit: "µs"}))
		}
	}
	return rows
}

// openJudged makes the variants that are called in this process.
func openJudged(ctx context.Context, c *measureCommand, _ workload, is wanted) (list []variant, closeAll func() error, err error) {
	baskets, err := hotBaskets(c)
	if err != nil {
		return nil, nil, err
	}
	var v variants
	defer func() {
		if err != nil {
			err = errors.Join(err, v.close())
		}
	}()
	for _, j := range judged() {
		if !is(j.name) {
			continue
		}
		f, err := fixture.Open(ctx, c.servers, c.newName("judged"), baskets.Products, j.without)
		if err != nil {
			return nil, nil, err
		}
		v.atEnd(func() error { return f.Close(context.WithoutCancel(ctx)) })
		v.add(j.name, reserveWith(f.Store.Write, baskets.List), f.Audit, f.Vacuum)
	}
	return v.list, v.close, nil
}
