// Streams measures what subscribers over WebSocket cost Onhand: memory, goroutines, CPU time of a delivery, latency,
// and the time until all are connected. The same run measures the floor: a bare server on gorilla/websocket that sends
// one prepared message to all subscribers of a product. Two rows measure one change at a time: a commit in another
// instance beside PUBLISH and SUBSCRIBE, and an UPDATE by an outside writer beside NOTIFY and LISTEN.
//
//	make bench BENCH=streams                       # every row
//	go run ./bench/streams --quick                 # fewer rounds
//	go run ./bench/streams --quick --row '^one product' --server ./onhand
//	go run ./bench/streams --growth                # how costs grow with watchers, subscriptions, instances; kinds of Redis
//
// Terms: workload, row, variant, turn, round, figure and aim are those of bench/groupcommit. A crowd is the clients of
// one turn, in this process. More clients than a process has sockets are in processes of their own, one for each instance
// (--growth).
//
// Every variant is a server in a process of its own, started anew for each turn: Onhand is the built program with its
// defaults. This process has an instance of the store too, which sells single units: each is a change that the servers
// get from Redis. The floor does not decode it.
//
// Invariants:
//   - All clients of a turn end with the newest version, or the run ends with an error.
//   - A latency is from before the write until a client has read the frame: the commit is in it, for both. After a commit
//     in another instance it is from the moment that Postgres has acknowledged the commit, which a proxy before Postgres
//     notes.
//   - Memory is the resident memory of the server's process, above what it had with no client after a warm-up.
//
// It may import models, store, bench/fixture, bench/floors, bench/loadgen, bench/results and bench/testbed.
// When a server is gone, the run ends with its log.
package main
