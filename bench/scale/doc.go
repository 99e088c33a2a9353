// Scale measures how costs grow: with products, changes per second, subscribers and instances; and what kinds of Redis,
// pgbouncer, haproxy and a read replica cost. It keeps the tables in bench/growth.json, writes them into docs/scaling.md,
// and draws the pictures of that page in docs/images.
//
//	make scale                                  # every table, 13 minutes
//	make scale ARGS=--quick                     # smaller sizes and shorter turns, a few minutes; keeps nothing
//	make scale ARGS='--table "^changes"'        # some tables; --list names them
//	make scale ARGS='--table ^products --products 1000000'    # one size of the shop
//	go run ./bench/scale draw                   # the page and its pictures from the tables that are kept
//
// The tables of reads and subscribers are those of bench/reads and bench/streams, which it runs with --growth. Its own
// are on servers in processes of their own: a shop has a database and a Redis of its own, and instances. A way calls the
// instances of a shop, directly or through haproxy. A comparison has ways take turns, and keeps the medians.
//
// Reservations have a schedule: so many a second, evenly. A latency counts from the scheduled moment, so that a slow
// server is not asked less. Pages are read as fast as they are answered.
//
// A line has the CPU time that each program spent, by call: instances, Redis (all nodes), Postgres. The load generator is
// another process on the same cores. Idle work of the servers is in it: at low rates it is most of it.
//
// Invariants:
//   - Reservations in the database are as many as were acknowledged, or there is no line.
//   - A turn follows a warm-up with as many callers as it has. WAL is counted after it, so that few pages are written
//     to it in full.
//   - Where haproxy or pgbouncer is not installed, the run says so, and the lines with it stay as they were.
//
// It may import bench/chart, bench/fixture, bench/loadgen, bench/results, bench/testbed and store/storetest. When a server
// is gone, the run ends with its log.
package main
