// Package process runs the processes of a shop, and breaks them.
//
//   - [Build] builds the server; [BuildWithClock] one whose wall clock is wrong.
//   - [Instance] is one server process. It can be stopped, killed, frozen, thawed and started again on its port;
//     [Instance.Metrics] reads its metrics.
//   - [Proxy] is the connection between an instance and one of its servers. It can be delayed, cut, reset, or made to
//     swallow one direction.
//   - [Cluster] is a Redis Cluster of six nodes; [SentinelRedis] a master and a replica with three Sentinels.
//
// Postgres and a single Redis come from store/storetest.
//
// Invariants: ports are on loopback and below 32768, so that a stopped process finds its port free. Every process ends
// with the test. A panic or a data race in the log of an instance fails the test, whatever clients saw.
//
// Tests that import it have the flag -server-race. It may import store/storetest, faults/network and faults/wait.
package process
