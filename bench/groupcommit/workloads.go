package main

import (
	"fmt"

	"onhand/bench/loadgen"
)

const (
	// evenProducts is how many products an even load is spread over.
	evenProducts = 10_000
	// instancesCallers is how many callers there are, whether one instance serves them or two.
	instancesCallers = 512
)

// workloads lists everything that is measured, with the aims.
func workloads() []workload {
	var list []workload
	for _, hot := range []struct {
		callers                int
		each, bare, lua, fsync float64
	}{{64, 25, 16, 0.35, 0.6}, {512, 55, 40, 0.9, 1.4}, {2048, 65, 45, 1.3, 1.6}} {
		list = append(list, workload{
			name: fmt.Sprintf("hot %d", hot.callers), callers: hot.callers, open: openInProcess(hotBaskets),
			rows: []row{
				{Beside: transactionEach, Aim: hot.each}, {Beside: bareEach, Aim: hot.bare},
				{Beside: luaVolatile, Aim: hot.lua}, {Beside: luaDurable, Aim: hot.fsync},
			},
		})
	}
	list = append(list,
		workload{name: "even 64", callers: 64, open: openInProcess(evenBaskets), rows: []row{{Beside: transactionEach, Aim: 6.5}}},
		workload{name: "even 512", callers: 512, open: openInProcess(evenBaskets), rows: []row{{Beside: transactionEach, Aim: 9}}},
		workload{name: "alone", callers: 1, open: openInProcess(hotBaskets), rows: []row{{Beside: transactionEach, Aim: 1.5}}},
		holdersWorkload(),
		workload{name: "carts of 20", callers: 64, open: openInProcess(cartBaskets), rows: []row{{Beside: transactionEach, Aim: 2.5}}},
		expiryWorkload(),
		workload{name: "two instances", callers: instancesCallers, open: openInstances, rows: []row{{Beside: oneInstance, Aim: 0.8}}},
	)
	list = append(list, servedWorkloads()...)
	for _, w := range list {
		for i := range w.rows {
			w.rows[i] = withDefaults(w.rows[i])
		}
	}
	return list
}

// servedLoad is a load over HTTP.
type servedLoad struct {
	name    string
	baskets basketSource
}

var servedLoads = []servedLoad{{"hot", hotBaskets}, {"even", evenBaskets}, {"carts", cartBaskets}}

// servedWorkloads are measured as users see them: GraphQL over HTTP, servers in processes of their own.
func servedWorkloads() (list []workload) {
	for _, kind := range servedLoads {
		for _, connections := range []int{64, 512} {
			rows := []row{
				{Ours: oneInstance, Beside: eachServed},
				{Ours: oneInstance, Beside: nothingServed},
				{Ours: twoInstances, Beside: nothingServedTwice},
				{Ours: twoInstances, Beside: oneInstance},
			}
			if kind.name == "hot" && connections == 64 {
				rows[0].Aim, rows[1].Aim = 12, 0.5
				rows = append(rows, row{
					Name: "p99 of one instance beside " + eachServed, Ours: oneInstance, Beside: eachServed,
					Aim: 0.15, AtMost: true, Of: p99Millis, Unit: "ms",
				})
			}
			list = append(list, workload{
				name: fmt.Sprintf("graphql %s %d", kind.name, connections), callers: connections, open: openServed(kind.baskets, servedVariants), rows: rows,
			})
		}
	}
	return list
}

// basketSource gives the baskets of a workload.
type basketSource func(*measureCommand) (loadgen.Baskets, error)

// hotBaskets are one unit of one product.
func hotBaskets(*measureCommand) (loadgen.Baskets, error) {
	products := []string{"hot"}
	return loadgen.Baskets{Products: products, List: loadgen.Single(products)}, nil
}

// evenBaskets are one unit of any product.
func evenBaskets(*measureCommand) (loadgen.Baskets, error) {
	products := loadgen.Numbered(evenProducts)
	return loadgen.Baskets{Products: products, List: loadgen.Single(products)}, nil
}

// cartBaskets are those of a shop.
func cartBaskets(c *measureCommand) (loadgen.Baskets, error) {
	baskets, err := loadgen.ReadBaskets(c.Baskets)
	if err == nil {
		c.say("  %d carts of %d lines over %d products, %s", len(baskets.List), loadgen.BasketLines, len(baskets.Products), baskets.Source)
	}
	return baskets, err
}
