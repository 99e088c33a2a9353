// Command topology measures one, two and four instances, directly and behind the haproxy of deploy/haproxy: pages of stock,
// and reservations of one product. All instances share one Postgres and one Redis, and all processes the cores of one
// machine. So the figures say what a call costs in each process and where the bottleneck lies, not how throughput grows.
//
//	go run ./bench/topology
//	go run ./bench/topology --rounds 5 --length 3s
//
// It prints, for each workload and topology: calls per second as the median of the rounds, its ratio to one instance without
// haproxy in the same round (the median of the ratios), p50 and p99, and the CPU time of each program for one call. Without
// haproxy it measures one instance alone, and says so.
//
// It may import bench/fixture, bench/loadgen and bench/testbed. When a server is not installed, it fails and says what to
// install.
package main
