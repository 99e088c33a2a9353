// Package throughput measures how fast counters grow.
//
// Terms: a sample is the value of every counter at one moment. A rate is the growth
// from the oldest sample that is kept to the newest, by second.
//
// Invariants: a meter keeps [SamplesMax] samples. It starts no goroutine.
//
// May import: the standard library. It uses no server.
package throughput
