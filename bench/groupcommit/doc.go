// Groupcommit measures how fast Onhand reserves stock. The same run measures the floors of each figure: one transaction
// for each reservation, a bare one, a Lua decrement in Redis, the same server with a resolver that writes nothing.
//
//	make bench BENCH=groupcommit    # every row of this program; half an hour
//	make bench BENCH=groupcommit ARGS='--quick'       # less than a minute a row, for a first look
//	make bench BENCH=groupcommit ARGS='--row "^hot 512"'
//	make bench BENCH=groupcommit ARGS='--row "^graphql"'
//	make bench BENCH=groupcommit ARGS='--without commit-delay'   # an optimisation of the write path switched off
//
// Terms:
//   - workload: what callers reserve, and how many there are. A row compares two of its variants.
//   - variant: one way to do it: Onhand, or a floor.
//   - turn: one measurement of one variant. In a round each variant has one turn, and the order rotates.
//   - figure: the median of the rounds. A ratio is the median of the ratios within a round.
//   - aim: what a ratio must reach; the aims are in workloads.go. Some rows have none.
//
// Most workloads call the store in this process. Those named graphql send GraphQL over HTTP, at 64 and 512 connections,
// to one or two servers in processes of their own, on one Postgres and one Redis.
//
// Invariants:
//   - The load is a closed loop: every caller has one call in flight.
//   - Every acknowledged reservation is counted in the database after its workload. The levels, the ledger and Redis
//     must agree with it; otherwise there is no figure, and the program exits with 1. A call that fails ends the run.
//   - The floors use prepared statements, pipelines and a pool of the size that suits them. They run on the
//     same servers, settings, tables and triggers.
//
// It may import graph with guard and transport (to serve the same API over other writers), models, models/owner, store, and
// bench/fixture, bench/loadgen, bench/results and bench/testbed. When a server is gone, the run ends with that error.
package main
