// Package instrumentation measures GraphQL operations: how long each took, by its name, how many errors there were, by
// code, and, where tracing is on, a span of each.
//
// Terms: the name of an operation is the one that its document has for it. A slow operation is a query or mutation that
// took longer than slowAfter.
//
// Invariants:
//   - The values of a label are bounded: names that the manifest of trusted documents has, or without one the first that
//     callers use who may name series, up to namesMax. A name that has series counts in them for every caller. The others
//     count by the first digit of the hash of their first nameBytesMax bytes, as "other-0" to "other-f", those without a
//     name as "anonymous". Codes are those of the API, else "OTHER".
//   - No metric and no span has an argument of an operation.
//   - Without a tracer an operation costs two readings of the clock and what its metrics take: no memory.
//   - Lines about slow operations are bounded in a second.
//   - The answer to a subscription is not timed: each event is a response of its own. Its start has a span.
//
// May import: onhand/models, onhand/tracing, gqlgen's runtime, the clients of Prometheus and OpenTelemetry.
package instrumentation
