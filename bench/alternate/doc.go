// Alternate compares two builds of the server: it runs both in alternating rounds, over GraphQL and HTTP, and prints the
// ratio with its spread.
//
//	go build -o after . && go run ./bench/alternate --before ./before --after ./after
//	go run ./bench/alternate --before … --after … --workload carts --connections 512 --instances 2
//	go run ./bench/alternate --before … --after … --connections 512 --per-owner
//
// The build before takes part twice, as "before" and as "before again". The ratio of these two is the noise: a change
// counts only when it is larger.
//
// Each of the three has servers of its own (--instances processes), a database of its own on one Postgres, and a Redis of
// its own. A round gives each one turn; the order rotates. A turn is a closed loop of reservations: --connections
// connections, each with one call in flight. Beside throughput and p99 it prints CPU time per call, of the servers,
// Postgres and Redis together: other programs on the machine disturb it less.
//
// Invariants: the builds are spoken to by their public API alone (environment, GraphQL, /readyz), so that their schemas
// may differ. At the end each database must have exactly the reservations that were acknowledged.
//
// It may import bench/loadgen, bench/testbed and store/storetest. When a server ends, the run ends with an error and its
// log.
package main
