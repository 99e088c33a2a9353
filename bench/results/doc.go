// Package results sums up the rounds of benchmarks, prints them and keeps them in bench/results.json.
//
// Terms:
//   - row: one line of the table. It compares one figure of two variants of a workload.
//   - round: what each variant measured once, in turns.
//   - figure: the median of the rounds. A ratio is the median of the ratios within a round.
//   - aim: what a ratio must reach, or must not exceed. Some rows have none.
//
// The file has a section for each program, by its name: an object whose members are lists of [Result]. A program writes
// its own section only; rows that it did not measure stay as they are, and rows that it no longer has are dropped.
//
// [Growth] is a table with one line for each size: how figures grow. bench/growth.json has those tables by name;
// [Growth.Keep] replaces the lines of the sizes that were measured.
//
// It may import bench/loadgen.
package results
