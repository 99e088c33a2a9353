// Package checker checks what must hold when a scenario has ended: the invariants I1 to I9 and I11 of faults/doc.go.
//
// Terms:
//   - state: what the database, or Redis, has of a product.
//   - cache monitor: compares Redis with the database all through a scenario.
//   - baseline: the metrics of an instance at rest, after its first start.
//   - outage: a time in which a server was away or frozen. What was due in it may be late.
//
// [Checker.Check] runs all checks. Each check lists what is wrong, a text each, so that the tests of the checkers can
// see what it finds in tables that they have broken.
//
// Invariants: every statement over Onhand's tables is in sql.go. A check reads; only I3 writes, when it repeats keys.
//
// It may import models and models/stockbinary (to decode what Redis has), faults/chance, faults/load, faults/model,
// faults/process and faults/wait. When Postgres or Redis is gone, a check fails.
package checker
