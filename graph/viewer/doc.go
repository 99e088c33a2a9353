// Package viewer says what the caller of a request may see and reach.
//
// Two things depend on the caller:
//
//   - Reservations. [Reading] and [Acting] are the caller's access to reservations of
//     others, and [HolderOf] is whose a new reservation is. What a caller may not reach
//     does not exist for it: null, NotFoundError, never FORBIDDEN.
//   - Quantities. With a [QuantityCap], a caller without the scope read:inventory sees
//     no quantity beyond the cap, errors included. Callers form two classes: those that
//     see exact quantities, and those that see capped ones.
//
// Invariants:
//   - The compiled read path, pushed subscriptions and gqlgen's executor use the same cap.
//   - Equal ids have equal content for callers of one class.
//   - A subscription of a capped caller sends a stock when that caller sees it change.
//     Version, time and source do not count: they tell of activity.
//
// The cap hides amounts, not activity. A granted reservation tells that there were as many
// units, the version grows with each change, and the status is exact.
//
// It imports guard and models, and uses no server.
package viewer
