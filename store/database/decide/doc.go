// Package decide decides writes. It is plain Go over what a transaction has
// loaded: no SQL, no clock of its own, the same for every engine.
//
// # Terms
//
//	unit of work  what a transaction locked and loaded, and what was decided on it
//	change set    what one write wants to change; applied whole, or dropped
//	answer        the stored answer of the write that bound an idempotency key
//	bound key     one whose write took effect, whole or in part
//
// A transaction computes the read set of its writes (package readset), loads it into a
// [UnitOfWork], lets a [Decider] decide the writes in order, and saves what the unit
// of work lists as changed. Each write sees the effect of the writes before it.
//
// # Invariants
//
//   - A write that fails for business reasons changes nothing in the unit of work.
//   - Available never falls below the product's floor by a decision.
//   - Every change of a level has a movement whose quantities add up.
//   - A bound key, which has an answer or a reservation, never executes again. A
//     refused key is free: nothing of it is stored.
//   - A key belongs to one kind of write of one caller.
//   - A reservation that its caller may not reach is answered as an unknown one.
//
// Idempotency keys are stored as keyed hashes (package keyhash). One half of the hash is
// the key of the reservation that the write creates, the other half is the key of its
// answer.
//
// May import: models and packages below it, counting, holderusage, keyhash, rowjson, storederrors. The package uses no server.
package decide
