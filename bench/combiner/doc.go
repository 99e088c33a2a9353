// Combiner measures how fast Onhand reserves stock, each figure beside its floor in the same run: one transaction for
// each reservation, a bare one, a Lua decrement in Redis, the same server with nothing to write.
//
//	make bench                      # every row; a quarter of an hour or so
//	make bench ARGS='--quick'       # less than a minute a row, for a first look
//	make bench ARGS='--row "^hot 512"'
//
// It starts a Postgres and a Redis of its own, and a second Redis that keeps an append-only file. What is compared in a
// row takes turns, round after round, so that what else the machine does meets both sides; a figure is the median of
// its rounds, and a ratio the median of the ratios within a round.
//
// May import: graph and its guard and transport (to serve the same API over other writers), models, store,
// store/rediscache, store/stockfile, store/storetest, drivers.
//
// Invariants: the load is a closed loop: every caller has one call under way. Every acknowledged reservation is counted
// in the database after its row, and the levels, the ledger and Redis must agree with it; otherwise there is no figure,
// and the program exits with 1. A call that fails ends the run. Competitors are written as well as we can: prepared
// statements, pipelines, a pool of the size that suits them; they run on the same server, settings, tables and triggers.
package main
