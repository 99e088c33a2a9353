// Package load is the clients of a shop: customers, shoppers and subscribers.
//
// Terms:
//   - customer: reserves, commits, releases, extends and reads, one operation after the other. It repeats a write with the
//     same idempotency key, over all instances, until there is a definite answer. Its operations go into the history.
//   - habit: what a customer does again and again.
//   - shopper: reads pages as a storefront does, each once. Its pages are counted, and are not part of the history.
//   - subscriber: watches products, by WebSocket or server-sent events, and connects again when it is cut off.
//   - flood: a client that sends, without end, what costs the server much.
//   - crowd: many subscribers that stop reading at one moment.
//
// [Load] is customers and shoppers at work. [Target] is the shop as they see it. [Changes] changes products at a steady
// rate, so that deliveries can be timed.
//
// Invariants: a definite answer is data or a refusal; everything else is an [AttemptError], after which the write may have
// happened or not. Every random choice comes from faults/chance.
//
// It may import faults/chance, faults/model and faults/wait. When all instances are gone, a customer gives up after
// retryLimit, and its operation is pending.
package load
