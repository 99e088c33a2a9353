// Package loadgen generates load for the benchmarks and measures the answers.
//
// Terms:
//   - worker: one caller. In a closed loop it has one call in flight and sends the next when that one is answered.
//   - turn: one measured run of the loop, after a warm-up.
//   - basket: the lines of one reservation.
//
// What it has:
//   - [Run] is the closed loop; [Measurement] is its result.
//   - [Histogram] counts latencies without a lock.
//   - [Requester] sends prepared requests over HTTP; [Pool] and [Connection] send reserveStock. They speak only as much
//     HTTP/1.1 as that needs, because the client of net/http costs as much CPU as the server under test.
//   - [Single], [Numbered] and [ReadBaskets] make the baskets: one product, many products, those of a real shop.
//
// Invariants:
//   - The generator shares the cores with the server, so a call does little: no lock, no reflection, buffers reused.
//   - An answer that is not a new reservation is an error. The first error ends the turn.
//   - Every acknowledged call is counted, those of the warm-up too, so that a database can be audited afterwards.
//
// It may import models and store/stockfile. When the server is gone, the turn ends with that error.
package loadgen
