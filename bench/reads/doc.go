// Reads measures how fast Onhand answers stock queries. The same run measures the floors of each figure: bare gqlgen,
// gqlgen with a loader, net/http with and without Redis, a SELECT for each request.
//
//	make bench BENCH=reads                       # every row
//	go run ./bench/reads --quick                 # less than a minute a row, for a first look
//	go run ./bench/reads --quick --row '^stocks three'
//	go run ./bench/reads --quick --server ./onhand    # a build that is there already
//	go run ./bench/reads --growth                # how the cost of a request grows with the products
//
// Terms: workload, row, variant, turn, round, figure and aim are those of bench/groupcommit.
//
// Every variant is a server in a process of its own: Onhand is the built program with its defaults, a floor is this
// program with a handler of bench/floors. The load comes from this process.
//
// Invariants:
//   - The load is a closed loop over keep-alive connections: each has one request in flight.
//   - All variants of a workload get the same requests.
//   - Every answer has status 200, data, and no error; otherwise the run ends. The first answers of each connection are
//     read whole: they must have the products that were asked for.
//   - While reservations change the products, no answer may be older than the bound of the near cache. What was
//     acknowledged before is what counts.
//
// It may import models, bench/fixture, bench/floors, bench/loadgen, bench/results and bench/testbed. When a server is
// gone, the run ends with its log.
package main
